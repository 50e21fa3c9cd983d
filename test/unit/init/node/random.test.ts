import assert from 'node:assert/strict';
import { it } from 'node:test';
import { randomBytes, randomInt } from '../../../../init/node/random.ts';

it('random bytes differ from call to call', () => {
  const seen = new Set(Array.from({ length: 1_000 }, () => randomBytes(8).toString('hex')));
  assert.equal(seen.size, 1_000);
  assert.equal(randomBytes(5).length, 5);
});

it('a random integer is one of those below the limit, and each of them comes', () => {
  const seen = new Set(Array.from({ length: 1_000 }, () => randomInt(7)));
  assert.deepEqual([...seen].toSorted(), [0, 1, 2, 3, 4, 5, 6]);
});
