import assert from 'node:assert/strict';
import { it } from 'node:test';
import { RCODE } from '../../../agent/dns/iana.ts';
import { HeavyTable } from '../../../agent/operator/watch/heavy-table.ts';
import type { SeenQuery } from '../../../agent/operator/watch/query-watch.ts';

const SEEN = { source: 'hit', rcode: RCODE.NOERROR } as SeenQuery;

it('the heaviest keys come first, of equal ones those that came first', () => {
  const table = new HeavyTable();
  const weights = Array.from({ length: 1_000 }, (_, i) => ({
    key: `k${i}`,
    weight: (i * 37) % 101,
  }));
  for (const { key, weight } of weights) table.add(key, SEEN, weight);
  const expected = weights.toSorted((a, b) => b.weight - a.weight).slice(0, 50);
  assert.deepEqual(
    table.take(50).map(({ key, queries }) => ({ key, weight: queries })),
    expected,
  );
  assert.deepEqual(table.take(50), []);
  table.add('few', SEEN, 1);
  assert.deepEqual(table.take(50), [{ key: 'few', queries: 1, hits: 1, nxdomain: 0, failures: 0 }]);
});
