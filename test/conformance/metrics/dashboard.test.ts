/** Each panel of our dashboard, asked of a real Prometheus that scrapes nodens as built and evaluates our rules. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { filledIn, PANELS } from '../../support/metrics/dashboard.ts';
import { type Observed, startObserved } from '../../support/metrics/observed.ts';
import { type Prometheus, startPrometheus } from '../../support/metrics/prometheus.ts';
import { RULES_FILE } from '../../support/metrics/rules.ts';

const JOB = 'nodens';
const BOUND_MS = 60_000;
/** Questions between two looks at all panels: each look is 80 queries, beside a scrape a second. */
const ROUNDS = 8;

/** Parts of panels that show something only after an event that a sound node does not have. */
const NEED_AN_EVENT = new Set([
  'Limited clients (A)',
  // Messages that no client of the test sends.
  'Messages without a useful answer (B)',
  'Messages without a useful answer (C)',
]);

const parts = PANELS.flatMap(({ title, targets = [] }) =>
  targets.map(({ refId, expr }) => ({ name: `${title} (${refId})`, expr: filledIn(expr, JOB) })),
);

let observed: Observed;
let prometheus: Prometheus;
let empty: readonly string[] = parts.map(({ name }) => name);

/** Parts without a value; NaN is none: no query in the window. */
async function findEmpty(): Promise<string[]> {
  const found: string[] = [];
  for (const { name, expr } of parts) {
    const values = await prometheus.query(expr);
    if (values.every((value) => Number.isNaN(value))) found.push(name);
  }
  return found;
}

before(async () => {
  observed = await startObserved(false);
  prometheus = await startPrometheus(observed.addresses[0], JOB, [RULES_FILE]);
  const endMs = performance.now() + BOUND_MS;
  do {
    for (let round = 0; round < ROUNDS; round++) {
      await observed.round();
      await delay(200);
    }
    empty = (await findEmpty()).filter((name) => !NEED_AN_EVENT.has(name));
  } while (empty.length > 0 && performance.now() < endMs);
});
after(async () => {
  await prometheus.stop();
  await observed.stop();
});

describe('the dashboard on a real Prometheus', () => {
  it('has no empty panel', () => {
    assert.ok(parts.length > 60);
    assert.deepEqual(empty, []);
  });

  it('lists panels that need an event only if they exist', () => {
    const names = new Set(parts.map(({ name }) => name));
    assert.deepEqual(
      [...NEED_AN_EVENT].filter((name) => !names.has(name)),
      [],
    );
  });
});
