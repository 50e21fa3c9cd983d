/**
 * `nodens -localip … -conf …`: node-local-dns's command line. init becomes the parent and the agent its unprivileged
 * child. With `-setupinterface=false -setupiptables=false` there is nothing to set up, so the agent runs alone.
 */
import { parsePort } from '../base/address.ts';
import { UsageError } from '../base/errors.ts';
import { flagsOf } from '../base/flags/table.ts';
import type { CommandName } from '../base/flags/types.ts';
import { parseSyncIntervalMs } from '../base/text/duration.ts';
import { serve } from './agent.ts';
import { GENERAL_HELP } from './general-help.ts';
import { becomeInit, forInit } from './init.ts';
import { agentOptions, type FlagValues, flagOr, parseFlags } from './options.ts';

/**
 * Replaces the process with init as the parent; resolves to an exit code only for help and without set-up. Throws
 * UsageError for a wrong flag, or if neither local addresses nor serving without set-up is asked for.
 */
export async function dropinCommand(argv: readonly string[]): Promise<number> {
  const { values, wantsHelp } = parseFlags(argv, 'drop-in');
  if (wantsHelp) {
    process.stdout.write(`${GENERAL_HELP}\n`);
    return 0;
  }
  const metrics = 'metrics-listen-address';
  const forAgent = { ...values, [metrics]: flagOr(values, metrics) };
  // Checked before anything is set up: a wrong flag means exit code 2 and the usage line.
  const options = agentOptions(forAgent);
  const setsUp = (name: string): boolean => flagOr(values, name) === 'true';
  if (!setsUp('setupinterface') && !setsUp('setupiptables')) {
    refuseNonsense(values);
    // No init to wait for, unless a socket is given; and no sign that kube-dns answers in the meantime.
    return await serve({ ...options, socketPath: values.socket || undefined });
  }
  if (values['without-init'] === 'true') {
    throw new UsageError(
      'flag -without-init: here init is the parent; start `nodens agent`, or give ' +
        '-setupinterface=false -setupiptables=false to serve only',
    );
  }
  if (options.localIps.length === 0) {
    throw new UsageError(
      'flag -localip is missing: name the addresses that answer the pods, or give ' +
        '-setupinterface=false -setupiptables=false to serve only',
    );
  }
  return becomeInit([
    '--supervise',
    ...forInit(only(values, 'init')),
    '--',
    'agent',
    ...forInit(only(forAgent, 'agent')),
  ]);
}

/** In this mode init's flags have no effect, but invalid values are still refused. */
function refuseNonsense(values: FlagValues): void {
  const { syncinterval, 'health-port': healthPort } = values;
  if (syncinterval !== undefined && parseSyncIntervalMs(syncinterval) === undefined)
    throw new UsageError(`flag -syncinterval: "${syncinterval}" is not a time of at least 1s`);
  if (healthPort !== undefined && healthPort !== '0' && parsePort(healthPort) === undefined)
    throw new UsageError(`flag -health-port: "${healthPort}" is not a port (1–65535)`);
}

function only(values: FlagValues, command: CommandName): FlagValues {
  const names = flagsOf(command).map((flag) => flag.name);
  return Object.fromEntries(names.map((name) => [name, values[name]]));
}
