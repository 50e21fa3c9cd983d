import assert from 'node:assert/strict';
import { it } from 'node:test';
import { collectRegularly } from '../../../../init/node/garbage.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

it('garbage is collected every ten seconds', async () => {
  const clock = new FakeClock();
  let times = 0;
  const timer = collectRegularly(clock, () => times++);
  await clock.advance(30_000);
  timer?.cancel();
  await clock.advance(30_000);
  assert.equal(times, 3);
});

it('without --expose-gc V8 decides alone', () => {
  assert.equal(collectRegularly(new FakeClock(), undefined), undefined);
});
