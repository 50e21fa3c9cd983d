import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { UpstreamGroup } from '../../../agent/query/services/upstreams.ts';
import { RoundTrip } from '../../../agent/upstream/health/round-trip.ts';
import { HedgeBudget } from '../../../agent/upstream/hedge-budget.ts';
import { settle } from '../../support/fake-clock.ts';
import {
  A,
  B,
  type Fixture,
  fixture,
  groupOptions,
  question,
  replyOf,
  watch,
} from '../../support/upstream/fixture.ts';
import type { SeenQuery } from '../../support/upstream/messages.ts';

const ADDRESS = [192, 0, 2, 80] as const;
const hedges = ({ metrics }: Fixture, result: string): number =>
  metrics.value('nodens_upstream_hedges_total', { result });

/** Queries that are answered at once: they set the learned latency and fill the budget. */
async function warmUp(
  { room: _, sockets }: Fixture,
  group: UpstreamGroup,
  count: number,
): Promise<void> {
  for (let i = 0; i < count; i++) {
    watch(group.exchange(question(), 4_000));
    sockets.udp(A.address).answer({ address: ADDRESS });
    await settle();
  }
}

test('a query that takes longer than most is sent to another upstream too, and the first reply wins', async () => {
  const network = fixture();
  const { room, sockets, clock } = network;
  const group = room.group(groupOptions({ upstreams: [A, B] }));
  await warmUp(network, group, 40);
  const watched = watch(group.exchange(question(), 4_000));
  await clock.advance(70);
  sockets.udp(B.address).answer({ address: ADDRESS });
  await settle();
  assert.equal(replyOf(watched).upstream, '192.0.2.2:53');
  assert.deepEqual([hedges(network, 'won'), hedges(network, 'lost')], [1, 0]);
  assert.deepEqual(
    room.summary().map(({ state }) => state),
    ['up', 'up'],
    'late is no fault yet',
  );
});

test('with one upstream the hedge uses another socket, and loses to a reply to the first', async () => {
  const network = fixture();
  const { room, sockets, clock } = network;
  const group = room.group(groupOptions());
  await warmUp(network, group, 40);
  const watched = watch(group.exchange(question(), 4_000));
  const [first] = sockets.datagrams;
  const query = first?.queries.at(-1) as SeenQuery;
  await clock.advance(70);
  assert.equal(sockets.datagrams.length, 2);
  first?.answer({ address: ADDRESS }, query);
  await settle();
  assert.equal(replyOf(watched).reply.rcode, 0);
  assert.deepEqual([hedges(network, 'won'), hedges(network, 'lost')], [0, 1]);
});

test('over TCP the hedge uses another connection', async () => {
  const network = fixture();
  const { room, sockets, clock } = network;
  const group = room.group(groupOptions({ forceTcp: true }));
  for (let i = 0; i < 40; i++) {
    watch(group.exchange(question(), 4_000));
    const stream = sockets.tcp(A.address);
    if (i === 0) stream.open();
    await settle();
    stream.answer({ address: ADDRESS });
  }
  const watched = watch(group.exchange(question(), 4_000));
  await clock.advance(70);
  assert.equal(sockets.streams.length, 2);
  const fresh = sockets.tcp(A.address);
  fresh.open();
  fresh.answer({ address: ADDRESS });
  await settle();
  assert.equal(replyOf(watched).reply.rcode, 0);
  assert.equal(hedges(network, 'won'), 1);
});

test('hedges are at most one in twenty queries', async () => {
  const network = fixture();
  const { room, sockets, clock } = network;
  const group = room.group(groupOptions());
  await warmUp(network, group, 40);
  for (let i = 0; i < 200; i++) watch(group.exchange(question(), 4_000));
  const sent = (): number => sockets.datagrams.flatMap(({ queries }) => queries).length;
  const before = sent();
  await clock.advance(100);
  // 200 deadlines of one tick take 25 turns of the event loop.
  for (let i = 0; i < 7; i++) await settle();
  const extra = sent() - before;
  assert.ok(extra >= 10 && extra <= 12, `${extra} hedges after 240 queries`);
  assert.equal(hedges(network, 'denied'), 200 - extra);
});

test('max_connect_attempts 1 allows no hedge', async () => {
  const network = fixture();
  const { room, sockets, clock } = network;
  const group = room.group(groupOptions({ maxConnectAttempts: 1 }));
  await warmUp(network, group, 40);
  watch(group.exchange(question(), 4_000));
  await clock.advance(150);
  assert.equal(sockets.datagrams.length, 1);
});

test('the budget holds a burst and no more', () => {
  const budget = new HedgeBudget();
  assert.equal(budget.take(), false, 'nothing at first');
  for (let i = 0; i < 100_000; i++) budget.earn();
  let taken = 0;
  while (budget.take()) taken++;
  assert.equal(taken, 50);
});

test('the delay is that of the 95th percentile, with a minimum and never above the timeout', () => {
  const trip = new RoundTrip();
  assert.equal(trip.hedgeMs, 200);
  for (let i = 0; i < 200; i++) trip.sample(1);
  assert.equal(trip.hedgeMs, 40);
  // Uniform up to 300 ms, in an order that is not sorted.
  for (let i = 0; i < 2_000; i++) trip.sample((i * 7_919) % 300);
  assert.ok(trip.hedgeMs > 220 && trip.hedgeMs <= 320, `${trip.hedgeMs} ms`);
  for (let i = 0; i < 200; i++) trip.sample(5_000);
  assert.equal(trip.hedgeMs, trip.timeoutMs);
});

test('read_timeout bounds the timeout', () => {
  assert.equal(new RoundTrip(300).timeoutMs, 300);
  assert.equal(new RoundTrip(100).hedgeMs, 100);
  assert.equal(new RoundTrip(5_000).timeoutMs, 1_000);
});
