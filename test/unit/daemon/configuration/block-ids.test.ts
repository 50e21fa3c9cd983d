import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BlockIdentities } from '../../../../agent/daemon/configuration/block-ids.ts';
import { parseText } from '../../../support/corefiles/parse.ts';
import { addressRecord, Bench, IMMEDIATE } from '../../cache/harness.ts';

const blockOf = (zone: string) => parseText(`${zone} {\n  cache\n}\n`).blocks[0] as never;

describe('identities of server blocks', () => {
  it('stay with a block when other blocks are added or removed', () => {
    const ids = new BlockIdentities(() => assert.fail('none is used again'), 3);
    const before = ['a', 'b', 'c'].map((zone) => ids.idOf(blockOf(zone), []));
    const after = ['c', 'a', 'b'].map((zone) => ids.idOf(blockOf(zone), []));
    assert.deepEqual(
      [before, after],
      [
        [0, 1, 2],
        [2, 0, 1],
      ],
    );
  });

  it('are reused only when none is left: first that of the block removed longest ago', () => {
    const reused: number[] = [];
    const ids = new BlockIdentities((id) => reused.push(id), 2);
    for (const zone of ['a', 'b', 'a', 'c']) ids.idOf(blockOf(zone), []);
    assert.deepEqual(reused, [1]);
    assert.equal(ids.idOf(blockOf('a'), []), 0);
  });

  it('have no cached entries of the former block', async () => {
    const bench = new Bench({ serveStale: IMMEDIATE });
    const ids = new BlockIdentities((id) => bench.cache.forgetBlock(id), 1);
    bench.open({}, { id: ids.idOf(blockOf('a'), []) });
    bench.upstream = (query) => bench.reply(query, { answer: [addressRecord(60, 1)] });
    await bench.ask();
    assert.equal(bench.cache.stats().answers, 1);
    bench.open({}, { id: ids.idOf(blockOf('b'), []) });
    assert.equal(bench.cache.stats().answers, 0);
    bench.upstream = (query) => bench.reply(query, { answer: [addressRecord(60, 2)] });
    const { wire } = await bench.ask();
    assert.equal([...wire].at(-1), 2);
  });
});
