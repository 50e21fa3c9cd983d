/** A steady stream of queries from a pod, and how many of them found no answer. */
import { writeFileSync } from 'node:fs';
import type { Cluster } from './cluster.ts';
import type { Netns } from './netns.ts';

export interface LoadOptions {
  readonly server: string;
  readonly queriesPerSecond: number;
  readonly seconds: number;
  /** UDP sockets, each used for as long as the load lasts. */
  readonly sockets: number;
}

export interface LoadResult {
  readonly sent: number;
  readonly lost: number;
  /** Answers by rcode. */
  readonly codes: Readonly<Record<string, number>>;
}

const NAMES = 200;
/** dnsperf's default: what no answer came for in this time is lost. */
const PATIENCE_MS = 5_000;

/** Asks for a few hundred cluster names in turn; rejects where dnsperf fails. */
export async function load(
  cluster: Cluster,
  from: Netns,
  options: LoadOptions,
): Promise<LoadResult> {
  const file = `${cluster.runDir}/load-${options.server}`;
  const names = Array.from({ length: NAMES }, (_, i) => `load${i}.any.default.svc.cluster.local A`);
  writeFileSync(file, `${names.join('\n')}\n`);
  const { server, seconds, sockets, queriesPerSecond } = options;
  const report = await from.must(
    [
      ...['dnsperf', '-s', server, '-d', file, '-l', `${seconds}`],
      ...['-c', `${sockets}`, '-Q', `${queriesPerSecond}`],
    ],
    { timeoutMs: seconds * 1_000 + 2 * PATIENCE_MS },
  );
  const count = (what: RegExp): number => Number(what.exec(report)?.[1]);
  const codes = /Response codes: *(.*)/.exec(report)?.[1] ?? '';
  return {
    sent: count(/Queries sent: *(\d+)/),
    lost: count(/Queries lost: *(\d+)/),
    codes: Object.fromEntries(
      [...codes.matchAll(/(\w+) (\d+) \(/g)].map((match) => [match[1], Number(match[2])]),
    ),
  };
}
