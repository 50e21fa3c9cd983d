import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Flights } from '../../../agent/cache/refresh.ts';
import type { Answer } from '../../../agent/query/answer.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';

const ANSWER = {} as Answer;

/** A flight that lands when told to. */
function begun(flights: Flights, key: string) {
  const { promise, resolve } = Promise.withResolvers<Answer>();
  const flight = flights.start(
    key,
    promise,
    (answer) => answer,
    () => ANSWER,
  );
  return { flight, land: () => resolve(ANSWER) };
}

it('clients that wait for queries of others are bounded all together, until those end', async () => {
  const flights = new Flights(new FakeClock(), 3);
  const [one, two] = [begun(flights, 'one'), begun(flights, 'two')];
  flights.join(one.flight);
  flights.join(one.flight);
  assert.ok(flights.hasRoom(two.flight));
  flights.join(two.flight);
  assert.equal(flights.hasRoom(two.flight), false);
  one.land();
  await settle();
  assert.ok(flights.hasRoom(two.flight), 'what has ended counts no more');
  flights.close();
});

it('what is given up counts no more, and is not counted off twice when it ends after all', async () => {
  const clock = new FakeClock();
  const flights = new Flights(clock, 1);
  const late = begun(flights, 'late');
  flights.join(late.flight);
  await clock.advance(10_000);
  late.land();
  await settle();
  const next = begun(flights, 'next');
  assert.ok(flights.hasRoom(next.flight));
  flights.join(next.flight);
  assert.equal(flights.hasRoom(next.flight), false);
  flights.close();
});
