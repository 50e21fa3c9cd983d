/** The metrics page of nodens as built, after events of every kind, compared with what dashboards of node-local-dns expect. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import {
  DROPPED_SERIES,
  type ExpectedSeries,
  NODE_LOCAL_DNS_SERIES,
} from '../../support/metrics/node-local-dns-series.ts';
import { type Observed, scrape, startObserved } from '../../support/metrics/observed.ts';
import { type PageFamily, totalOf } from '../../support/metrics/page.ts';

const BOUND_MS = 20_000;

/** Faults that a healthy nodens and upstream do not have; their series exist, with the value 0. */
const STAY_AT_ZERO = new Set([
  'coredns_panics_total',
  'coredns_panic_count_total',
  'coredns_health_request_failures_total',
  'coredns_nodecache_setup_errors_total',
  'coredns_nodecache_setup_errors',
]);

/** A fault that a sound upstream does not have; exported from the first on, as by CoreDNS. */
const ABSENT = new Set(['coredns_cache_drops_total']);

const EXPECTED: Readonly<Record<string, ExpectedSeries>> = {
  ...NODE_LOCAL_DNS_SERIES,
  ...DROPPED_SERIES,
};

let observed: Observed;
let text: string;
let families: ReadonlyMap<string, PageFamily>;

const unmoved = (): string[] =>
  Object.keys(EXPECTED).filter(
    (name) => !STAY_AT_ZERO.has(name) && !ABSENT.has(name) && totalOf(families, name) === 0,
  );

before(async () => {
  observed = await startObserved(true);
  observed.breakCorefile();
  const endMs = performance.now() + BOUND_MS;
  do {
    await observed.round();
    ({ text, families } = await scrape(observed.addresses[0]));
    await delay(100);
  } while (unmoved().length > 0 && performance.now() < endMs);
});
after(() => observed.stop());

function labelsOf({ samples }: PageFamily): string[] {
  const sets = samples.map(({ labels }) => {
    const { le: _, ...own } = labels;
    return Object.keys(own).sort().join();
  });
  return [...new Set(sets)];
}

/** Upper bounds of the first series; all of a family share them. */
function bucketsOf({ samples }: PageFamily): string[] {
  const bounds = samples.map(({ labels }) => labels.le).filter((le) => le !== undefined);
  return bounds.slice(0, bounds.indexOf('+Inf'));
}

describe('the series of node-local-dns', () => {
  it('count their events', () => {
    assert.deepEqual(unmoved(), []);
  });

  for (const [name, { type, labels, buckets }] of Object.entries(EXPECTED)) {
    if (ABSENT.has(name)) continue;
    it(`${name}: type, labels, buckets`, () => {
      const family = families.get(name);
      assert.ok(family, 'is not on the page');
      assert.equal(family.type, type);
      assert.deepEqual(labelsOf(family), [[...labels].sort().join()]);
      assert.deepEqual(bucketsOf(family), (buckets ?? []).map(String));
    });
  }

  it('are the only ones with the prefix coredns_', () => {
    const ours = [...families.keys()].filter((name) => name.startsWith('coredns_'));
    assert.deepEqual(
      ours.filter((name) => !(name in EXPECTED)),
      [],
    );
  });
});

describe('the page', () => {
  it('has no finding of promtool', () => {
    const check = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
    assert.deepEqual([check.status, check.stdout, check.stderr], [0, '', '']);
  });

  it('has a semantic version', () => {
    const [sample] = families.get('coredns_build_info')?.samples ?? [];
    assert.match(sample?.labels.version ?? '', /^\d+\.\d+\.\d+(-[\w.]+)?$/);
    assert.equal(sample?.value, 1);
  });

  it('has the process metrics that the panels of memory and CPU use', () => {
    for (const name of ['process_resident_memory_bytes', 'process_cpu_seconds_total']) {
      assert.ok(totalOf(families, name) > 0, name);
    }
  });

  it('is the same on both admin ports', async () => {
    const [first, second] = await Promise.all(observed.addresses.map((at) => scrape(at)));
    const series = (page: typeof first): string[] =>
      [...(page?.families.entries() ?? [])]
        .flatMap(([name, { type, samples }]) => [
          `${name} ${type}`,
          ...samples.map((sample) => `${sample.name} ${JSON.stringify(sample.labels)}`),
        ])
        // Heap sizes change at any moment.
        .filter((line) => !line.startsWith('nodejs_'));
    assert.ok(series(first).length > 500);
    assert.deepEqual(series(first), series(second));
    for (const name of ['coredns_dns_requests_total', 'coredns_cache_hits_total']) {
      const [one, other] = [first, second].map((page) =>
        totalOf(page?.families ?? new Map(), name),
      );
      assert.ok((one ?? 0) > 0, name);
      assert.equal(one, other, name);
    }
  });
});
