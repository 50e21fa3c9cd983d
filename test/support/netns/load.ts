/** Queries at a steady rate from inside a namespace, and the result of each. */
import { writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Netns } from '../cluster/netns.ts';

export interface LoadOptions {
  readonly server: string;
  /** Names asked in turn, type A. */
  readonly names: readonly string[];
  readonly perSecond: number;
  /** Maximum duration. */
  readonly seconds: number;
  /** Condition for an earlier end; the load runs on for one timeout, so that lost queries are counted. */
  readonly until?: Promise<unknown>;
  /** Folder for the list of names. */
  readonly dir: string;
}

export interface Load {
  readonly sent: number;
  /** Queries by rcode; `lost` without a response within 5 s. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** Latencies of the answered ones, ascending, milliseconds. */
  readonly latenciesMs: readonly number[];
}

/** A query without an answer in this time is lost. */
const PATIENCE_SECONDS = 5;

/** Runs dnsperf; queries do not wait for one another. */
export async function load(from: Netns, options: LoadOptions): Promise<Load> {
  const { server, names, perSecond, seconds, dir, until } = options;
  const file = `${dir}/load-${from.name}.txt`;
  writeFileSync(file, names.map((name) => `${name} A\n`).join(''));
  const pace = [
    '-Q',
    `${perSecond}`,
    '-l',
    `${seconds}`,
    '-q',
    '20000',
    '-t',
    `${PATIENCE_SECONDS}`,
  ];
  // Large receive buffers: a response that the client itself drops is no error of the server.
  const roomy = ['-b', '8192'];
  const argv = ['dnsperf', '-s', server, '-d', file, '-v', ...roomy, ...pace];
  const late = (): Promise<void> => delay(PATIENCE_SECONDS * 1_000);
  const ends = until && { until: until.then(late, late), endSignal: 'SIGINT' as const };
  const stdout = await from.must(argv, { timeoutMs: (seconds + 20) * 1_000, ...ends });
  return parse(stdout);
}

/** Lines read `> NOERROR www.example.org A 0.000321`, `> T …` for a timeout, `> I …` for a query in flight at the end. */
function parse(stdout: string): Load {
  const outcomes: Record<string, number> = {};
  const latenciesMs: number[] = [];
  for (const [, rcode = '', seconds] of stdout.matchAll(/^> (\w+) \S+ \S+(?: ([\d.]+))?$/gm)) {
    if (rcode === 'I') continue;
    const outcome = rcode === 'T' ? 'lost' : rcode;
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    if (outcome !== 'lost') latenciesMs.push(Number(seconds) * 1_000);
  }
  latenciesMs.sort((a, b) => a - b);
  const sent = Object.values(outcomes).reduce((sum, count) => sum + count, 0);
  return { sent, outcomes, latenciesMs };
}

/** The latency that `share` (0 to 1) of the answers did not exceed, milliseconds. */
export function percentile({ latenciesMs }: Load, share: number): number {
  const at = Math.min(latenciesMs.length - 1, Math.floor(latenciesMs.length * share));
  return latenciesMs[at] ?? Number.POSITIVE_INFINITY;
}
