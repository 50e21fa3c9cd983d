/** The node as init sees it: programs to run and files of /proc to read. Tests hand in a scripted one. */
import { readFile } from 'node:fs/promises';
import { errnoOf } from '../../agent/base/errors.ts';
import { type Run, runCommand } from './exec.ts';

/** Short programs and files only. Programs that run for long are behind `StartLines` and `OwnerProcess`. */
export interface System {
  readonly run: Run;
  /** Text of a file, undefined where there is none. */
  readonly read: (path: string) => Promise<string | undefined>;
}

/** This node. `read` rejects with the system's error, except for ENOENT. */
export const realSystem: System = {
  run: runCommand,
  read: async (path) => {
    try {
      return await readFile(path, 'utf8');
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  },
};
