import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { it } from 'node:test';
import { RenewedMap } from '../../../agent/base/renewed-map.ts';

it('is a map in order of addition, over any number of additions', () => {
  const map = new RenewedMap<number, string>();
  const plain = new Map<number, string>();
  for (let i = 0; i < 10_000; i++) {
    // Up to 2,000 at a time, and often none.
    for (const each of [map, plain]) each.set((i * 7_919) % 2_003, `${i}`);
    if (i % 3 !== 0) for (const each of [map, plain]) each.delete((i * 31) % 2_003);
    if (i % 4_001 === 0) {
      assert.deepEqual(map.takeAll(), [...plain.values()]);
      plain.clear();
    }
    assert.equal(map.size, plain.size);
    assert.equal(map.get(i % 2_003), plain.get(i % 2_003));
    assert.equal(map.has(i % 2_003), plain.has(i % 2_003));
  }
  assert.deepEqual([...map], [...plain]);
  assert.deepEqual([...map.keys()], [...plain.keys()]);
});

/** Full garbage collections while 100 MB of objects, 16 at a time, go through `map`, which was idle for some time. */
const program = (map: string): string => `
  import { PerformanceObserver, constants } from 'node:perf_hooks';
  import { RenewedMap } from ${JSON.stringify(new URL('../../../agent/base/renewed-map.ts', import.meta.url).href)};
  const records = [];
  const collections = new PerformanceObserver((list) => records.push(...list.getEntries()));
  collections.observe({ entryTypes: ['gc'] });
  const map = ${map};
  for (let i = 0; i < 10_000; i++) new Array(100).fill(i);
  for (let i = 0; i < 128_000; i += 16) {
    for (let k = i; k < i + 16; k++) map.set(k & 65_535, new Array(100).fill(k));
    for (let k = i; k < i + 16; k++) map.delete(k & 65_535);
  }
  await new Promise((resolve) => setTimeout(resolve, 20));
  console.log(records.filter(({ detail }) => detail.kind !== constants.NODE_PERFORMANCE_GC_MINOR).length);
`;

it('does not keep what was in it alive until a full collection, as a Map does', () => {
  const full = (map: string): number => {
    const flags = ['--max-semi-space-size=1', '--input-type=module', '-e', program(map)];
    const { stdout, stderr, status } = spawnSync(process.execPath, flags, { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    return Number(stdout);
  };
  assert.equal(full('new RenewedMap()'), 0);
  assert.ok(full('new Map()') > 1, 'a Map is as good now: RenewedMap is not needed any more');
});
