import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LIMITS } from '../../../agent/base/limits.ts';

describe('limits', () => {
  for (const [name, limit] of Object.entries(LIMITS)) {
    it(`${name} lies between its bounds`, () => {
      assert.ok(0 < limit.min && limit.min <= limit.default && limit.default <= limit.max);
      assert.ok([limit.min, limit.default, limit.max].every(Number.isSafeInteger));
    });
  }
});
