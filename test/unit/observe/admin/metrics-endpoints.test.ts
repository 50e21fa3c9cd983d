import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Registry } from 'prom-client';
import { PacedWork } from '../../../../agent/base/paced-work.ts';
import type { AdminRoute } from '../../../../agent/observe/admin/admin.ts';
import { FRESH_MS, MetricsPages } from '../../../../agent/observe/admin/metrics-endpoints.ts';
import { type Family, lazily, type Source } from '../../../../agent/observe/metrics/samples.ts';
import type { AdminResponse } from '../../../../agent/query/services/admin.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

/** A source with one series that is named in `OLDER_NAMES`, with a count of its reads. */
class CountedSource implements Source {
  reads = 0;
  isBroken = false;

  families(): Iterable<Family> {
    if (this.isBroken) throw new Error('broken');
    const values = lazily(() => [{ labels: {}, value: ++this.reads }]);
    return [{ name: 'coredns_panics_total', help: 'Panics.', type: 'counter', values }];
  }
}

const OLDER = /^coredns_panic_count_total /m;

function page(routes: readonly AdminRoute[], address: string): () => Promise<AdminResponse> {
  const route = routes.find((one) => one.address === address && one.path === '/metrics');
  assert.ok(route, address);
  return async () => await route.handler(new URLSearchParams());
}

const textOf = ({ body }: AdminResponse): string =>
  Buffer.concat([...(body as readonly Uint8Array[])]).toString();

describe('/metrics', () => {
  it('is rendered once for all requests within a moment, and not copied', async () => {
    const clock = new FakeClock();
    const source = new CountedSource();
    const pages = new MetricsPages([source], new PacedWork(clock), clock);
    const both = new Map([':1', ':2'].map((address) => [address, { isOlder: false }]));
    const routes = await pages.routes(both, undefined);
    const [one, other] = [page(routes, ':1'), page(routes, ':2')];
    const all = await Promise.all(Array.from({ length: 64 }, (_, i) => (i % 2 ? one() : other())));
    assert.equal(source.reads, 1);
    for (const { body } of all) assert.equal(body, all[0]?.body);
    await clock.advance(FRESH_MS - 1);
    assert.match(textOf(await one()), /^coredns_panics_total 1$/m);
    await clock.advance(1);
    assert.match(textOf(await one()), /^coredns_panics_total 2$/m);
    await clock.advance(FRESH_MS);
    assert.equal(clock.pendingTimers, 0);
  });

  it('is OpenMetrics for clients that ask for it, rendered once as well', async () => {
    const clock = new FakeClock();
    const source = new CountedSource();
    const pages = new MetricsPages([source], new PacedWork(clock), clock);
    const types = async (hasExemplars: boolean, accept: string): Promise<unknown[]> => {
      const wanted = new Map([[':1', { isOlder: false }]]);
      const [route] = await pages.routes(wanted, ':2', hasExemplars);
      const ask = () => route?.handler(new URLSearchParams(), undefined, accept);
      const [one, other] = await Promise.all([ask(), ask()]);
      assert.equal(one?.body, other?.body);
      return [one?.contentType, textOf(one as AdminResponse).endsWith('\n# EOF\n')];
    };
    const open = Registry.OPENMETRICS_CONTENT_TYPE;
    const both = 'application/openmetrics-text, text/plain;q=0.5';
    assert.deepEqual(await types(false, 'application/openmetrics-text'), [open, true]);
    assert.deepEqual(await types(true, both), [open, true]);
    assert.deepEqual(await types(false, both), [Registry.PROMETHEUS_CONTENT_TYPE, false]);
    assert.equal(source.reads, 2);
  });

  it('is rendered again after an error', async () => {
    const clock = new FakeClock();
    const source = new CountedSource();
    const pages = new MetricsPages([source], new PacedWork(clock), clock);
    const ask = page(await pages.routes(new Map([[':1', { isOlder: false }]]), undefined), ':1');
    source.isBroken = true;
    await assert.rejects(Promise.all([ask(), ask()]), /broken/);
    source.isBroken = false;
    assert.match(textOf(await ask()), /^coredns_panics_total 1$/m);
  });

  it('has older names where a block enables them, and on the extra address where any page has them', async () => {
    const clock = new FakeClock();
    const pages = new MetricsPages([new CountedSource()], new PacedWork(clock), clock);
    const isOlderAt = async (routes: readonly AdminRoute[], address: string): Promise<boolean> =>
      OLDER.test(textOf(await page(routes, address)()));
    const wanted = new Map([
      [':1', { isOlder: false }],
      [':2', { isOlder: true }],
    ]);
    const mixed = await pages.routes(wanted, ':3');
    assert.deepEqual(
      await Promise.all([':1', ':2', ':3'].map((address) => isOlderAt(mixed, address))),
      [false, true, true],
    );
    const none = await pages.routes(new Map([[':1', { isOlder: false }]]), ':3');
    assert.equal(await isOlderAt(none, ':3'), false);
    assert.equal((await pages.routes(wanted, ':1')).length, 2, 'the same address once');
    assert.equal((await pages.routes(new Map(), undefined)).length, 0);
  });
});
