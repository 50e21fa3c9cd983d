/** A real Prometheus scrapes nodens; every panel of the usual dashboards has data, every alert can fire. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import {
  ALERTS,
  DASHBOARDS,
  forPrometheus,
  STAYS_EMPTY,
} from '../../support/metrics/dashboards.ts';
import { type Observed, startObserved } from '../../support/metrics/observed.ts';
import { type Prometheus, startPrometheus } from '../../support/metrics/prometheus.ts';

const JOB = 'node-local-dns';
const SCRAPING_MS = 10_000;

let observed: Observed;
let prometheus: Prometheus;

before(async () => {
  observed = await startObserved(true);
  prometheus = await startPrometheus(observed.addresses[0], JOB);
  const endMs = performance.now() + SCRAPING_MS;
  while (performance.now() < endMs) {
    await observed.round();
    await delay(50);
  }
});
after(async () => {
  await prometheus.stop();
  await observed.stop();
});

function ask(expr: string): Promise<number[]> {
  return prometheus.query(forPrometheus(expr, `job="${JOB}", instance=~".+"`));
}

for (const [dashboard, panels] of Object.entries(DASHBOARDS)) {
  describe(dashboard, () => {
    for (const { title, expr } of panels) {
      it(title, async () => {
        const values = await ask(expr);
        assert.ok(values.length > 0, `no data: ${expr}`);
        assert.ok(
          values.some((value) => Number.isFinite(value)),
          `${values}: ${expr}`,
        );
      });
    }
  });
}

describe('alerts', () => {
  for (const { name, value, fires, isOn } of ALERTS) {
    it(name, async () => {
      assert.ok((await ask(value)).length > 0, `no data: ${value}`);
      assert.equal((await ask(`(${value}) ${fires}`)).length > 0, isOn === true, value);
    });
  }

  it('NodeLocalDNSMetricsDown', async () => {
    assert.deepEqual(await ask('absent(up{$sel} == 1)'), []);
    assert.deepEqual(await ask('absent(up{job="absent"} == 1)'), [1]);
  });
});

describe('stays empty', () => {
  for (const { title, expr } of STAYS_EMPTY) {
    it(title, async () => assert.deepEqual(await ask(expr), []));
  }
});
