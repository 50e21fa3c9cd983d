import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BlockEntries } from '../../../../agent/cache/store/block-entries.ts';
import { Entry } from '../../../../agent/cache/store/entry.ts';
import { addressRecord, Bench, queryFor, replyTo } from '../harness.ts';

function filled(count: number, dropAfterMs: (i: number) => number = () => 0) {
  const blockEntries = new BlockEntries<Entry>({ value: 0 });
  const entries = Array.from({ length: count }, (_, i) => {
    const entry = new Entry({
      key: String(i),
      kind: 'positive',
      answer: replyTo(queryFor({}, 0), {}, 0),
      blockEntries,
      configVersion: 0,
      expiresMs: 0,
      dropAfterMs: dropAfterMs(i),
      refreshMs: 0,
      hits: 0,
      lastHitMs: 0,
    });
    blockEntries.add(entry);
    return entry;
  });
  return { blockEntries, entries };
}

describe('blockEntries', () => {
  it('evicts by age, and gives one second chance for each query', () => {
    const { blockEntries, entries } = filled(3);
    const evict = (): string | undefined => {
      const victim = blockEntries.victim();
      if (victim !== undefined) blockEntries.remove(victim);
      return victim?.key;
    };
    (entries[0] as Entry).wasHit = true;
    assert.deepEqual([evict(), evict(), evict(), evict()], ['1', '2', '0', undefined]);
    assert.equal(blockEntries.count, 0);
  });

  it('finds an entry to evict among many that were all asked for', () => {
    const { blockEntries, entries } = filled(20);
    for (const entry of entries) entry.wasHit = true;
    assert.equal(blockEntries.victim()?.key, '8');
    const spared = entries.filter((entry) => !entry.wasHit).map((entry) => entry.key);
    assert.deepEqual(spared, ['0', '1', '2', '3', '4', '5', '6', '7']);
    assert.equal(blockEntries.count, 20);
  });

  it('takes several walks at once, each past what others remove', () => {
    const { blockEntries, entries } = filled(5);
    const [first, second] = [blockEntries.walk(), blockEntries.walk()];
    assert.equal(first.next().value?.key, '0');
    assert.equal(second.next().value?.key, '0');
    assert.equal(second.next().value?.key, '1');
    // Both stand before these: the first walk before 1, the second before 2.
    for (const at of [1, 2]) blockEntries.remove(entries[at] as Entry);
    assert.deepEqual(
      Array.from(first, ({ key }) => key),
      ['3', '4'],
    );
    assert.deepEqual(
      Array.from(second, ({ key }) => key),
      ['3', '4'],
    );
  });

  it('continues a sweep where it stopped, though that entry is gone', () => {
    const { blockEntries, entries } = filled(6, () => 10);
    const dropped: string[] = [];
    const drop = (entry: Entry): void => {
      dropped.push(entry.key);
      blockEntries.remove(entry);
    };
    blockEntries.sweep(5, 2, drop);
    blockEntries.remove(entries[2] as Entry);
    blockEntries.sweep(10, 2, drop);
    assert.deepEqual(dropped, ['3', '4']);
    blockEntries.sweep(10, 9, drop);
    blockEntries.sweep(10, 9, drop);
    assert.deepEqual(dropped, ['3', '4', '5', '0', '1']);
    assert.equal(blockEntries.count, 0);
  });

  it('is walked by age, whatever is added and removed between two steps', () => {
    const { blockEntries, entries } = filled(5);
    const seen: string[] = [];
    for (const entry of blockEntries.walk()) {
      seen.push(entry.key);
      if (entry.key !== '1') continue;
      // The entry visited last, the next one, and a new one.
      blockEntries.remove(entry);
      blockEntries.remove(entries[2] as Entry);
      blockEntries.add(filled(1).entries[0] as Entry);
    }
    assert.deepEqual(seen, ['0', '1', '3', '4', '0']);
    assert.deepEqual(
      Array.from(filled(2).blockEntries.walk(), ({ key }) => key),
      ['0', '1'],
    );
    assert.deepEqual([...filled(0).blockEntries.walk()], []);
  });

  it('stores nothing at capacity 0', () => {
    const bench = new Bench({ success: { capacity: 0, maxTtlSeconds: 60, minTtlSeconds: 5 } });
    bench.upstream = (query) => bench.reply(query, { answer: [addressRecord(60)] });
    bench.hit();
    bench.hit();
    assert.equal(bench.asked.length, 2);
    assert.equal(bench.cache.stats().answers, 0);
  });
});
