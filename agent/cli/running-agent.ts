/**
 * The flags of the agent in whose container a command runs: `kubectl exec POD -- nodens check` should check that agent.
 * Every process of the container has the environment already.
 */
import { readFileSync } from 'node:fs';
import { UsageError } from '../base/errors.ts';
import { type FlagValues, parseFlags } from './options.ts';

/** The DaemonSet starts a container's first process. */
const FIRST_PROCESS = '/proc/1/cmdline';
const AGENT_PROGRAM = /\/agent\/main\.[jt]s$/;
const INIT_PROGRAM = /\/init\/main\.[jt]s$/;

/** Command line of the first process; empty if it cannot be read. */
export function firstProcess(): readonly string[] {
  try {
    return readFileSync(FIRST_PROCESS, 'utf8').replace(/\0$/, '').split('\0');
  } catch {
    return [];
  }
}

/** Flags of the agent in `words`, started directly or as init's child; undefined if they start none. */
export function agentFlags(words: readonly string[]): FlagValues | undefined {
  const argv = agentArgv(words);
  if (argv === undefined) return undefined;
  const [first = '', ...rest] = argv;
  const isDropIn = first.startsWith('-');
  if (first !== 'agent' && !isDropIn) return undefined;
  try {
    const { values } = parseFlags(isDropIn ? argv : rest, isDropIn ? 'drop-in' : 'agent');
    // It affects the agent's start output, not the check's.
    return { ...values, quiet: undefined };
  } catch (error) {
    if (error instanceof UsageError) return undefined;
    throw error;
  }
}

/** Whether `words` start init alone, as in the init container: the agent is in another one, and so are its files. */
export function isInitAlone(words: readonly string[]): boolean {
  return words.some((word) => INIT_PROGRAM.test(word)) && !words.includes('--');
}

/** Only the flags that were given, so that absent ones do not override others. */
export function given(values: FlagValues): FlagValues {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

function agentArgv(words: readonly string[]): readonly string[] | undefined {
  const agent = words.findIndex((word) => AGENT_PROGRAM.test(word));
  const init = words.findIndex((word) => INIT_PROGRAM.test(word));
  if (init !== -1) {
    const end = words.indexOf('--', init);
    return end === -1 ? undefined : words.slice(end + 1);
  }
  return agent === -1 ? undefined : words.slice(agent + 1);
}
