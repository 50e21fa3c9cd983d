import assert from 'node:assert/strict';
import { it } from 'node:test';
import { RateLimit } from '../../../agent/base/rate-limit.ts';
import { FakeClock } from '../../support/fake-clock.ts';

it('a rate limit allows a burst, then its rate, and after a pause no more than the burst', async () => {
  const clock = new FakeClock();
  const limit = new RateLimit(clock, 10, 3);
  const taken = (): number => Array.from({ length: 9 }, () => limit.take()).filter(Boolean).length;
  assert.equal(taken(), 3);
  await clock.advance(99);
  assert.equal(taken(), 0);
  await clock.advance(201);
  assert.equal(taken(), 3);
  await clock.advance(60_000);
  assert.equal(taken(), 3);
});
