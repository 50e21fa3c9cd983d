/** A steady stream of queries from a pod, and the number without an answer. */
import { writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Cluster } from '../cluster.ts';
import type { Netns } from '../netns.ts';

export interface LoadOptions {
  readonly server: string;
  readonly queriesPerSecond: number;
  /** The load ends this long after its end condition, so that a query lost before that counts as lost. */
  readonly until: Promise<unknown>;
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
/** A query without an answer in this time is lost. */
const PATIENCE_SECONDS = 3;
/** Without an end condition. */
const MAX_SECONDS = 120;

/** Asks for a few hundred cluster names in turn; rejects where dnsperf fails. */
export async function load(
  cluster: Cluster,
  from: Netns,
  options: LoadOptions,
): Promise<LoadResult> {
  const file = `${cluster.runDir}/load-${options.server}`;
  const names = Array.from({ length: NAMES }, (_, i) => `load${i}.any.default.svc.cluster.local A`);
  writeFileSync(file, `${names.join('\n')}\n`);
  const { server, sockets, queriesPerSecond } = options;
  const late = (): Promise<void> => delay(PATIENCE_SECONDS * 1_000);
  const report = await from.must(
    [
      ...['dnsperf', '-s', server, '-d', file, '-l', `${MAX_SECONDS}`, '-t', `${PATIENCE_SECONDS}`],
      ...['-c', `${sockets}`, '-Q', `${queriesPerSecond}`],
    ],
    {
      timeoutMs: (MAX_SECONDS + 2 * PATIENCE_SECONDS) * 1_000,
      until: options.until.then(late, late),
      endSignal: 'SIGINT',
    },
  );
  const count = (what: RegExp): number => Number(what.exec(report)?.[1] ?? 0);
  const codes = /Response codes: *(.*)/.exec(report)?.[1] ?? '';
  return {
    // Without queries in flight at the end.
    sent: count(/Queries sent: *(\d+)/) - count(/Queries interrupted: *(\d+)/),
    lost: count(/Queries lost: *(\d+)/),
    codes: Object.fromEntries(
      [...codes.matchAll(/(\w+) (\d+) \(/g)].map((match) => [match[1], Number(match[2])]),
    ),
  };
}
