/** Ways in which nodens ends on a node, and the rules that remain. */
import assert from 'node:assert/strict';
import { keepAlive, sleep, systemClock } from '../../../agent/base/clock.ts';
import type { Running, Site } from '../cluster/site.ts';
import { allowedMs } from '../machine.ts';
import type { MemoryGroup } from './memory-group.ts';

/** Rounds of each fault; `npm run chaos` sets it. */
export const ROUNDS = Number(process.env.NODENS_CHAOS_ROUNDS ?? 1);

export interface Fault {
  readonly what: string;
  /** `group` is where the agent's memory is counted. */
  readonly strike: (running: Running, group: MemoryGroup) => Promise<void> | void;
  /** Whether the query rules are removed: agent and init are then restarted before the next fault. */
  readonly isWithdrawn: boolean;
  /** Of 5,000 UDP queries a second; as for the other faults where it is not given. */
  readonly maxLost?: number;
}

export const KILLS: readonly Fault[] = [
  { what: 'kill -9 agent', strike: ({ agent }) => agent.signal('SIGKILL'), isWithdrawn: true },
  { what: 'kill -9 init', strike: ({ init }) => init.signal('SIGKILL'), isWithdrawn: true },
  {
    what: 'kill -9 all',
    strike: ({ agent, init }) => {
      for (const pid of [init.pid, agent.pid]) process.kill(pid, 'SIGKILL');
    },
    isWithdrawn: true,
  },
];

/** Names of the rules that redirect queries to the agent, in either backend. */
export async function queryRules({ cluster }: Site): Promise<string[]> {
  const lists = [['nft', 'list', 'ruleset'], ['iptables-nft-save'], ['iptables-legacy-save']];
  const texts = await Promise.all(lists.map((argv) => cluster.node.run(argv)));
  return texts.flatMap(({ stdout }) =>
    [...stdout.matchAll(/nodens:(query-\w+-\w+)/g)].map((match) => match[1] as string),
  );
}

/**
 * Asserts that the result of `measure`, milliseconds, is at most `limitMs`. Where it is more, the machine may have been
 * late once, or be slow: the test measures twice more, and the median counts, scaled for this machine.
 */
export async function assertSettled(
  what: string,
  limitMs: number,
  measure: () => Promise<number>,
): Promise<void> {
  const first = await measure();
  if (first <= limitMs) return;
  const [, median = first] = [first, await measure(), await measure()].sort((a, b) => a - b);
  const allowed = await allowedMs(limitMs);
  assert.ok(median <= allowed, `${what}: ${median} ms, allowed are ${allowed.toFixed(0)}`);
}

export async function pause(ms: number): Promise<void> {
  const alive = keepAlive();
  await sleep(systemClock, ms);
  alive.cancel();
}
