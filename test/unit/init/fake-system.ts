/** A node that answers commands from a script and records them. */

import type { Log } from '../../../init/log.ts';
import { CommandError } from '../../../init/node/exec.ts';
import type { System } from '../../../init/node/system.ts';
import type { RuleState } from '../../../init/plan/desired-rules.ts';

/** The parts of a plan that most tests do not check. */
export const PLAN_BASICS = {
  interfaceName: 'lo',
  port: 53,
  healthPort: undefined,
  probePorts: { first: 20_253, last: 20_260 },
  clusterIps: [],
  fallbackMark: 0x1000,
};

/** init intercepts, on a kernel with all features, and has found no fallback and no other local IPs. */
export const INTERCEPTING: RuleState = {
  interception: 'full',
  hasTcpAffinity: true,
  hasFallback: true,
  servedIps: [],
  endpoints: { udp: [], tcp: [] },
  keptIps: [],
  removedIps: [],
};

export interface Call {
  readonly command: string;
  readonly input: string;
}

/** Stdout for a command, or an error; undefined falls through to empty stdout. */
export type Script = (command: string, input: string) => string | CommandError | undefined;

export function fakeSystem(
  script: Script = () => undefined,
  files: Readonly<Record<string, string>> = {},
): { system: System; calls: Call[] } {
  const calls: Call[] = [];
  const system: System = {
    run: async (program, args, input = '') => {
      const command = [program, ...args].join(' ');
      calls.push({ command, input });
      const answer = script(command, input) ?? '';
      if (answer instanceof CommandError) throw answer;
      return answer;
    },
    read: async (path) => files[path],
  };
  return { system, calls };
}

export function failure(command: string, stderr: string, exitCode = 1): CommandError {
  return new CommandError(command, exitCode, stderr);
}

/** A log that keeps `level msg` lines. */
export function fakeLog(): { log: Log; lines: string[] } {
  const lines: string[] = [];
  const at = (level: string) => (msg: string) => void lines.push(`${level} ${msg}`);
  return { log: { info: at('info'), warn: at('warn'), error: at('error') }, lines };
}
