/** `nodens doctor`: becomes the init program in its read-only mode. */
import { becomeInit } from './init.ts';
import type { FlagValues } from './options.ts';
import { agentFlags, firstProcess } from './running-agent.ts';

/** Passes `argv` to init as it is: init parses the flags. Does not return, because the process is replaced. */
export function doctorCommand(argv: readonly string[]): Promise<number> {
  return becomeInit(['doctor', ...ofAgentWithoutInit(agentFlags(firstProcess())), ...argv]);
}

/**
 * What the doctor must know of an agent without init, in whose container it runs: it has no marks to find it by. Flags of the
 * command line come later, and win.
 */
export function ofAgentWithoutInit(flags: FlagValues | undefined): readonly string[] {
  if (flags?.['without-init'] !== 'true') return [];
  const given = {
    localip: flags.localip,
    port: flags['dns.port'],
    'without-kubernetes-service': flags['without-kubernetes-service'],
  };
  return [
    '--without-init',
    ...Object.entries(given).flatMap(([name, value]) =>
      value === undefined ? [] : [`--${name}=${value}`],
    ),
  ];
}
