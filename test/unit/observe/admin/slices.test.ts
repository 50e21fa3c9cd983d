/** DNS waits for a few samples, not for a whole page, however many series there are. Measured in samples, on a fake clock. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PacedWork } from '../../../../agent/base/paced-work.ts';
import { Exposition } from '../../../../agent/observe/metrics/exposition.ts';
import { SeriesTable } from '../../../../agent/observe/metrics/metrics.ts';
import { TrafficTable } from '../../../../agent/observe/metrics/request-metrics.ts';
import {
  type Family,
  lazily,
  type Sample,
  type Source,
} from '../../../../agent/observe/metrics/samples.ts';
import { queryFor } from '../../../support/dns/queries.ts';
import { MAX_AT_ONCE, SampleClock } from '../../../support/metrics/sample-clock.ts';

/** `families` with every sample counted as it is made, or as its line is. */
function counted(clock: SampleClock, source: Source): Source {
  function* each(values: Iterable<Sample>): Iterable<Sample> {
    for (const sample of values) {
      clock.count();
      yield sample;
    }
  }
  function* eachText(texts: Iterable<string>): Iterable<string> {
    for (const text of texts) {
      for (const _ of text.matchAll(/\n/g)) clock.count();
      yield text;
    }
  }
  function* families(): Iterable<Family> {
    for (const family of source.families()) {
      const { texts } = family;
      const values = lazily(() => each(family.values));
      yield { ...family, values, ...(texts && { texts: lazily(() => eachText(texts)) }) };
    }
  }
  return { families };
}

async function rendered(clock: SampleClock, source: Source, isOlder = false): Promise<string> {
  const exposition = new Exposition([counted(clock, source)], new PacedWork(clock));
  await exposition.load();
  let text: string | undefined;
  void exposition.render(isOlder).then(({ body }) => {
    text = Buffer.concat([...body]).toString();
  });
  while (text === undefined) await clock.advance(2.5);
  return text;
}

function samplesIn(text: string, name: string): number {
  return text.split('\n').filter((line) => line.startsWith(name)).length;
}

describe('a page in slices', () => {
  it('of one family with 20,000 samples', async () => {
    const clock = new SampleClock();
    const values = Array.from({ length: 20_000 }, (_, i) => ({ labels: { i: `${i}` }, value: i }));
    const one: Family = { name: 'nodens_many', help: 'Many.', type: 'gauge', values };
    const text = await rendered(clock, { families: () => [one] });
    assert.equal(samplesIn(text, 'nodens_many{'), 20_000);
    assert.equal(samplesIn(text, '# HELP nodens_many '), 1);
    assert.equal(samplesIn(text, '# TYPE nodens_many '), 1);
    assert.ok(text.includes('\nnodens_many{i="19999"} 19999\n'));
    assert.ok(clock.mostAtOnce <= MAX_AT_ONCE, `${clock.mostAtOnce} samples at once`);
  });

  it('of 2,000 families with a few each', async () => {
    const clock = new SampleClock();
    const families = Array.from({ length: 2_000 }, (_, i): Family => {
      const values = [1, 2, 3].map((value) => ({ labels: { value: `${value}` }, value }));
      return { name: `nodens_few_${i}`, help: 'Few.', type: 'gauge', values };
    });
    const text = await rendered(clock, { families: () => families });
    assert.equal(samplesIn(text, 'nodens_few_'), 6_000);
    assert.ok(clock.mostAtOnce <= MAX_AT_ONCE, `${clock.mostAtOnce} samples at once`);
  });

  it('of series that are counted, under older names too', async () => {
    const clock = new SampleClock();
    const table = new SeriesTable();
    for (let i = 0; i < 500; i++) {
      const labels = { proxy_name: 'forward', to: `10.0.0.1:${i}`, rcode: 'NOERROR' };
      table.histogram('coredns_proxy_request_duration_seconds', labels).observe(0.1);
    }
    const text = await rendered(clock, table, true);
    assert.equal(samplesIn(text, 'coredns_forward_requests_total{'), 500);
    assert.ok(samplesIn(text, 'coredns_proxy_request_duration_seconds_bucket{') === 500 * 17);
    assert.ok(clock.mostAtOnce <= MAX_AT_ONCE, `${clock.mostAtOnce} samples at once`);
  });

  it('of the traffic of many zones', async () => {
    const clock = new SampleClock();
    const traffic = new TrafficTable();
    const query = queryFor('example.org.', 'A');
    for (let i = 0; i < 500; i++) {
      const row = traffic.row(query.server, `zone${i}.`, '');
      row.record(query, 0, 100, 'cache');
      row.recordDuration(1, 1);
    }
    const text = await rendered(clock, traffic);
    assert.equal(samplesIn(text, 'coredns_dns_requests_total{'), 500);
    assert.ok(clock.mostAtOnce <= MAX_AT_ONCE, `${clock.mostAtOnce} samples at once`);
  });

  it('computes nothing before it is asked for', () => {
    const table = new SeriesTable();
    let reads = 0;
    table.gaugeFrom('nodens_cache_bytes', { store: 'answers' }, () => ++reads);
    const families = [...table.families()];
    assert.equal(reads, 0);
    const cacheBytes = families.find(({ name }) => name === 'nodens_cache_bytes');
    assert.deepEqual([...(cacheBytes?.values ?? [])], [{ labels: { store: 'answers' }, value: 1 }]);
  });

  it('shows no series twice where a reload creates it again meanwhile', () => {
    const table = new SeriesTable();
    const named = (name: string) => ({ server: 's', zone: '.', view: '', name });
    for (const name of ['a', 'b']) table.gauge('coredns_plugin_enabled', named(name)).value = 1;
    const family = [...table.families()].find(({ name }) => name === 'coredns_plugin_enabled');
    const seen: string[] = [];
    for (const { labels } of family?.values ?? []) {
      if (seen.length === 0) {
        table.drop('coredns_plugin_enabled', named('a'));
        table.gauge('coredns_plugin_enabled', named('a')).value = 1;
      }
      seen.push(labels.name as string);
    }
    assert.deepEqual(seen, ['a', 'b']);
  });
});
