import assert from 'node:assert/strict';
import { it } from 'node:test';
import { ClientRates } from '../../../../agent/base/clients/client-rates.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

it('each client has a rate of its own', async () => {
  const clock = new FakeClock();
  const rates = new ClientRates(clock, 10, 3);
  const taken = (key: string): number =>
    Array.from({ length: 9 }, () => rates.take(key)).filter(Boolean).length;
  assert.equal(taken('a'), 3);
  assert.equal(rates.hasLeft('a'), false);
  assert.equal(rates.hasLeft('b'), true);
  assert.equal(taken('b'), 3);
  await clock.advance(201);
  assert.equal(rates.hasLeft('a'), true);
  assert.equal(taken('a'), 2);
});

it('of many clients the one that was seen longest ago is forgotten', () => {
  const rates = new ClientRates(new FakeClock(), 10, 1);
  rates.take('busy');
  rates.take('quiet');
  for (let n = 0; n < 1_023; n++) {
    rates.take(`client ${n}`);
    rates.take('busy');
  }
  assert.equal(rates.hasLeft('busy'), false);
  assert.equal(rates.hasLeft('quiet'), true);
});
