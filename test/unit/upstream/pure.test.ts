import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../../../agent/base/clock.ts';
import { InternalError } from '../../../agent/base/errors.ts';
import type { Policy } from '../../../agent/query/services/upstreams.ts';
import { RoundTrip } from '../../../agent/upstream/health/round-trip.ts';
import { type Candidate, SelectionPolicy } from '../../../agent/upstream/selection-policy.ts';
import { freeId, randomIds } from '../../../agent/upstream/transport/ids.ts';
import {
  type Expiring,
  NOT_WAITING,
  TimerWheel,
} from '../../../agent/upstream/transport/timer-wheel.ts';
import { FakeClock } from '../../support/fake-clock.ts';

interface Named extends Candidate {
  readonly name: string;
}

const up = (name: string): Named => ({ name, isDown: false, isSuspect: false });
const down = (name: string): Named => ({ name, isDown: true, isSuspect: true });
const suspect = (name: string): Named => ({ name, isDown: false, isSuspect: true });

function orders(policy: Policy, candidates: Named[], count: number, random = 0): string[] {
  const order = new SelectionPolicy<Named>(policy, () => random);
  return Array.from({ length: count }, () =>
    order
      .of(candidates)
      .map(({ name }) => name)
      .join(''),
  );
}

test('policies choose the first upstream', () => {
  const three = [up('a'), up('b'), up('c')];
  assert.deepEqual(orders('sequential', three, 2), ['abc', 'abc']);
  assert.deepEqual(orders('round_robin', three, 4), ['bca', 'cab', 'abc', 'bca']);
  assert.deepEqual(orders('random', three, 1, 0.99), ['cab']);
});

test('upstreams that are down are omitted, suspect ones come last', () => {
  assert.deepEqual(orders('sequential', [suspect('a'), down('b'), up('c')], 1), ['ca']);
  assert.deepEqual(orders('round_robin', [down('a'), down('b')], 1), ['']);
  assert.deepEqual(orders('random', [down('a')], 1), ['']);
  assert.deepEqual(orders('random', [suspect('a')], 1), ['a']);
});

test('IDs come from the generator, in batches, and skip those in use', () => {
  let batches = 0;
  const ids = randomIds((array) => {
    batches++;
    for (let i = 0; i < array.length; i++) array[i] = i >> 1;
  });
  assert.deepEqual([ids(), ids(), ids()], [0, 0, 1]);
  const taken = new Map([
    [1, 'x'],
    [2, 'x'],
  ]);
  assert.equal(freeId(ids, taken), 3);
  for (let i = 0; i < 600; i++) ids();
  assert.equal(batches, 2);
});

test('a socket without a free ID is an internal fault', () => {
  const all = new Map(Array.from({ length: 65_536 }, (_, id) => [id, 0]));
  assert.throws(() => freeId(() => 0, all), InternalError);
});

test('IDs of the real generator are spread over all 16 bits', () => {
  const ids = randomIds();
  const seen = Array.from({ length: 4_096 }, ids);
  assert.ok(new Set(seen).size > 3_500);
  for (let bit = 0; bit < 16; bit++) {
    const ones = seen.filter((id) => (id >> bit) & 1).length;
    assert.ok(ones > 1_700 && ones < 2_400, `bit ${bit}: ${ones} of 4096`);
  }
});

test('the timeout starts at a second and follows the measured latency, within bounds', () => {
  const trip = new RoundTrip();
  assert.equal(trip.timeoutMs, 1_000);
  trip.sample(1);
  assert.equal(trip.timeoutMs, 200);
  for (let i = 0; i < 50; i++) trip.sample(150);
  assert.ok(trip.timeoutMs >= 200 && trip.timeoutMs < 400, String(trip.timeoutMs));
  for (let i = 0; i < 50; i++) trip.sample(5_000);
  assert.equal(trip.timeoutMs, 1_000);
});

class Waiter implements Expiring {
  dueTick = NOT_WAITING;
  dueBefore: Expiring | undefined;
  dueAfter: Expiring | undefined;
  readonly rang: number[] = [];
  readonly #clock: FakeClock;
  readonly #onRing: () => void;

  constructor(clock: FakeClock, onRing: () => void = () => undefined) {
    this.#clock = clock;
    this.#onRing = onRing;
  }

  onDeadline(): void {
    this.rang.push(this.#clock.nowMs());
    this.#onRing();
  }
}

test('entries removed from a tick do not affect the others, which fire in the order of insertion', async () => {
  const all = [0, 1, 2, 3];
  for (let mask = 0; mask < 2 ** all.length; mask++) {
    const clock = new FakeClock(1_000);
    const timers = new TimerWheel(clock);
    const rang: number[] = [];
    const waiters = all.map((i) => new Waiter(clock, () => void rang.push(i)));
    for (const waiter of waiters) timers.set(waiter, 1_100);
    const isCleared = (i: number): boolean => (mask & (1 << i)) !== 0;
    for (const i of [...all.filter(isCleared)].reverse()) timers.clear(waiters[i] as Waiter);
    await clock.advance(200);
    assert.deepEqual(
      rang,
      all.filter((i) => !isCleared(i)),
    );
    assert.equal(clock.pendingTimers, 0);
  }
});

test('an entry that fires may remove others of its tick, and insert itself again', async () => {
  const clock = new FakeClock(1_000);
  const timers = new TimerWheel(clock);
  const second = new Waiter(clock);
  const first = new Waiter(clock, () => {
    timers.clear(second);
    if (first.rang.length < 3) timers.set(first, clock.nowMs());
  });
  for (const waiter of [first, second]) timers.set(waiter, 1_100);
  await clock.advance(500);
  assert.deepEqual([first.rang.length, second.rang.length], [3, 0]);
});

test('a deadline fires once, never early, at most a tick late; the timer ends with the last', async () => {
  const clock = new FakeClock(1_000);
  const timers = new TimerWheel(clock);
  const [a, b, c] = [new Waiter(clock), new Waiter(clock), new Waiter(clock)];
  timers.set(a, 1_101);
  timers.set(b, 1_050);
  timers.set(c, 1_060);
  timers.set(b, 1_500);
  timers.clear(c);
  assert.equal(clock.pendingTimers, 1);
  await clock.advance(2_000);
  const [first = 0] = a.rang;
  assert.ok(first >= 1_101 && first <= 1_121, String(first));
  assert.deepEqual([a.rang.length, b.rang.length, c.rang.length], [1, 1, 0]);
  assert.equal(clock.pendingTimers, 0);
});

test('deadlines of one tick are handled in several turns of the event loop, those cleared meanwhile not', async () => {
  const clock = new FakeClock(1_000);
  const timers = new TimerWheel(clock);
  const rang: number[] = [];
  const waiters = Array.from({ length: 100 }, (_, i) => new Waiter(clock, () => void rang.push(i)));
  for (const waiter of waiters) timers.set(waiter, 1_100);
  let before = 0;
  const perTurn: number[] = [];
  const look = (): void => {
    perTurn.push(rang.length - before);
    before = rang.length;
    if (before === 32) timers.clear(waiters[40] as Waiter);
    if (before === 64) timers.set(waiters[90] as Waiter, 9_000);
    if (before < 98) setImmediate(look);
  };
  setImmediate(look);
  await clock.advance(200);
  while (rang.length < 98) await new Promise(setImmediate);
  assert.ok(Math.max(...perTurn) <= 32, String(perTurn));
  assert.deepEqual(
    rang,
    waiters.map((_, i) => i).filter((i) => i !== 40 && i !== 90),
  );
  await clock.advance(9_000);
  assert.equal(rang.at(-1), 90);
  assert.equal(clock.pendingTimers, 0);
});

test('an entry that is cleared and set again to a tick that has passed does not move others', async () => {
  const clock = new FakeClock(1_000);
  const timers = new TimerWheel(clock);
  const last = new Waiter(clock, () => {
    if (last.rang.length === 1) timers.set(last, 9_000);
  });
  const other = new Waiter(clock);
  timers.set(other, 9_000);
  const first = new Waiter(clock, () => {
    timers.clear(last);
    timers.set(last, 1_100);
  });
  for (const waiter of [first, last]) timers.set(waiter, 1_100);
  await clock.advance(1_000);
  assert.deepEqual([other.rang.length, last.rang.length], [0, 1]);
  await clock.advance(9_000);
  assert.deepEqual([other.rang.length, last.rang.length], [1, 2]);
  assert.equal(clock.pendingTimers, 0);
});

test('deadlines that are due when the wheel is closed do not fire', async () => {
  const clock = new FakeClock(1_000);
  const timers = new TimerWheel(clock);
  const waiters = Array.from({ length: 40 }, () => new Waiter(clock, () => timers.close()));
  for (const waiter of waiters) timers.set(waiter, 1_100);
  await clock.advance(500);
  assert.equal(waiters.filter(({ rang }) => rang.length > 0).length, 1);
  assert.ok(waiters.every(({ dueTick }) => dueTick === NOT_WAITING));
});

test('a late tick counts as lag of the agent', async () => {
  const clock = new FakeClock(1_000);
  let stalledMs = 0;
  const lagging: Clock = {
    nowMs: () => clock.nowMs() + stalledMs,
    wallMs: () => clock.wallMs(),
    after: (delayMs, callback) => clock.after(delayMs, callback),
    every: (intervalMs, callback) => clock.every(intervalMs, callback),
  };
  const timers = new TimerWheel(lagging);
  timers.set(new Waiter(clock), 2_000);
  await clock.advance(100);
  assert.equal(timers.lagMs, 0);
  stalledMs = 80;
  await clock.advance(20);
  assert.ok(timers.lagMs >= 70 && timers.lagMs <= 90, `${timers.lagMs} ms`);
});
