/** Older metric names exist only where a Corefile enables them: together with the names of today they
 * make queries that match names by pattern fail. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DROPPED_SERIES } from '../../support/metrics/node-local-dns-series.ts';
import { type Observed, scrape, startObserved } from '../../support/metrics/observed.ts';
import { startPrometheus } from '../../support/metrics/prometheus.ts';
import { eventually } from '../../support/netns/netns.ts';

const BOUND_MS = 30_000;
const OFTEN_ENOUGH = 'min(count_over_time(up[1m])) > 3';
/** Series of one event, with its names in all versions of CoreDNS. */
const BY_PATTERN = 'rate({__name__=~"coredns_panics?(_count)?_total"}[30s])';

/** Results of `expr`, or the error of Prometheus. */
async function asked(address: string, expr: string): Promise<number[] | string> {
  const prometheus = await startPrometheus(address, 'node-local-dns');
  try {
    const isEnough = async (): Promise<boolean> =>
      (await prometheus.query(OFTEN_ENOUGH)).length > 0;
    await eventually('Prometheus has scraped', isEnough, BOUND_MS);
    return await prometheus.query(expr);
  } catch (error) {
    return String(error);
  } finally {
    await prometheus.stop();
  }
}

async function older(observed: Observed): Promise<string[][]> {
  await observed.round();
  const pages = await Promise.all(observed.addresses.map((address) => scrape(address)));
  return pages.map(({ families }) =>
    Object.keys(DROPPED_SERIES).filter((name) => families.has(name)),
  );
}

async function withObserved<T>(
  isOlder: boolean,
  work: (observed: Observed) => T,
): Promise<Awaited<T>> {
  const observed = await startObserved(isOlder);
  try {
    return await work(observed);
  } finally {
    await observed.stop();
  }
}

describe('older names', () => {
  it('are on no page by default, and a query by pattern works', async () => {
    await withObserved(false, async (observed) => {
      assert.deepEqual(await older(observed), [[], []]);
      assert.deepEqual(await asked(observed.addresses[0], BY_PATTERN), [0]);
    });
  });

  it('are on both pages if one block enables them, and then such a query fails', async () => {
    await withObserved(true, async (observed) => {
      for (const names of await older(observed)) assert.ok(names.length > 10, `${names}`);
      assert.match(String(await asked(observed.addresses[0], BY_PATTERN)), /same labelset/);
    });
  });
});
