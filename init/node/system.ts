/** The node as init sees it: programs to run and files of /proc to read. Tests hand in a scripted one. */
import { readFile } from 'node:fs/promises';
import { errnoOf } from '../../agent/base/errors.ts';
import { NfTables } from '../netlink/nf-tables.ts';
import { askBy } from '../netlink/socket.ts';
import { initAddon } from './addon.ts';
import { type Run, runCommand } from './exec.ts';
import { runResident } from './resident-exec.ts';

/** Short programs and files only. A program that runs for long is behind `TableOwner`. */
export interface System {
  readonly run: Run;
  /** Text of a file, undefined where there is none. */
  readonly read: (path: string) => Promise<string | undefined>;
  /** Questions to nf_tables; undefined without the addon, where programs are asked, which take far more memory. */
  readonly nfTables?: NfTables | undefined;
}

function systemWith(run: Run): System {
  return {
    run,
    read: async (path) => {
      try {
        return await readFile(path, 'utf8');
      } catch (error) {
        if (errnoOf(error) === 'ENOENT') return undefined;
        throw error;
      }
    },
    get nfTables(): NfTables | undefined {
      const addon = initAddon();
      return addon instanceof Error ? undefined : new NfTables(askBy(addon));
    },
  };
}

/** This node. `read` rejects with the system's error, except for ENOENT. */
export const realSystem: System = systemWith(runCommand);

/** The same for a program that stays, in little memory. */
export const residentSystem: System = systemWith(runResident);
