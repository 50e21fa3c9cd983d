/**
 * The flags of the agent in whose container a command runs: what `kubectl exec POD -- nodens check` is to mean. The
 * environment needs no such look, since every process of a container has it.
 */
import { readFileSync } from 'node:fs';
import { UsageError } from '../base/errors.ts';
import { type FlagValues, parseFlags } from './options.ts';

/** The first process of a container is what its DaemonSet starts. */
const FIRST_PROCESS = '/proc/1/cmdline';
const AGENT_PROGRAM = /\/agent\/main\.[jt]s$/;
const INIT_PROGRAM = /\/init\/main\.[jt]s$/;

/** Command line of the first process, a word each; empty where it cannot be read. */
export function firstProcess(): readonly string[] {
  try {
    return readFileSync(FIRST_PROCESS, 'utf8').replace(/\0$/, '').split('\0');
  } catch {
    return [];
  }
}

/** Flags of the agent that `words` run, by itself or as the child of init; undefined where they run none. */
export function agentFlags(words: readonly string[]): FlagValues | undefined {
  const argv = agentArgv(words);
  if (argv === undefined) return undefined;
  const [first = '', ...rest] = argv;
  const isDropIn = first.startsWith('-');
  if (first !== 'agent' && !isDropIn) return undefined;
  try {
    const { values } = parseFlags(isDropIn ? argv : rest, isDropIn ? 'drop-in' : 'agent');
    // Of what the agent prints at its start, not of what a check prints.
    return { ...values, quiet: undefined };
  } catch (error) {
    if (error instanceof UsageError) return undefined;
    throw error;
  }
}

/** Flags that were given: absent ones do not hide what stands before them. */
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
