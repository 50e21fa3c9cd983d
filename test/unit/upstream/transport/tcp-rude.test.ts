/** TCP servers that read less than is pipelined to them (RFC 7766 §6.2.1.1): no query is lost, and the cost is bounded. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nameFromText } from '../../../../agent/dns/name.ts';
import type { UpstreamGroup } from '../../../../agent/query/services/upstreams.ts';
import {
  errorOf,
  fixture,
  groupOptions,
  question,
  replyOf,
  type Watched,
  watch,
} from '../../../support/upstream/fixture.ts';
import { type Manners, RudeServer } from '../../../support/upstream/rude-server.ts';

const ONCE = { forceTcp: true, maxConnectAttempts: 1, maxFails: 0 };

function askAtOnce(group: UpstreamGroup, count: number, from = 0): Watched[] {
  return Array.from({ length: count }, (_, i) =>
    watch(group.exchange(question({ name: nameFromText(`n${from + i}.example.`) }), 4_000)),
  );
}

function assertAnswered(watched: readonly Watched[]): void {
  assert.deepEqual(
    watched.map((each) => replyOf(each).reply.records.length),
    watched.map(() => 1),
  );
}

const RUDE: readonly [string, Manners, number][] = [
  ['closes after each answer', { inAll: 1 }, 1],
  ['resets after each answer', { inAll: 1, resets: true }, 1],
  ['closes after two answers', { inAll: 2 }, 2],
  ['closes after five answers', { inAll: 5 }, 5],
];

for (const [what, manners, inAll] of RUDE) {
  test(`a server that ${what} answers thirty names asked at once, and gets as many queries as it accepts`, async () => {
    const network = fixture();
    const group = network.room.group(groupOptions(ONCE));
    const server = new RudeServer(network, manners);
    const first = askAtOnce(group, 30);
    await server.serve(150);
    assertAnswered(first);
    // All of them on the first two connections, then no more than it accepts.
    assert.ok(server.queries <= 30 + 30 + 30, `${server.queries} queries`);
    assert.ok(server.connections <= 30 / inAll + 2, `${server.connections} connections`);
    const before = server.queries;
    const next = askAtOnce(group, 30, 100);
    await server.serve(150);
    assertAnswered(next);
    assert.equal(server.queries - before, 30);
    const carried = network.sockets.streams.slice(-5).map(({ queries }) => queries.length);
    assert.ok(Math.max(...carried) <= inAll, carried.join());
    assert.equal(network.metrics.value('nodens_upstream_failures_total'), 0);
    const labels = { transport: 'tcp', what: 'queries_per_connection' };
    assert.equal(network.metrics.value('nodens_upstream_learned_total', labels), 1);
  });
}

test('no more than sixteen connections are open to a server that accepts one query on each', async () => {
  const network = fixture();
  const group = network.room.group(groupOptions(ONCE));
  const server = new RudeServer(network, { inAll: 1 });
  askAtOnce(group, 3);
  await server.serve(20);
  const many = askAtOnce(group, 200, 100);
  let most = 0;
  for (let i = 0; i < 200; i++) {
    most = Math.max(
      most,
      network.metrics.value('nodens_upstream_connections', { transport: 'tcp' }),
    );
    await server.serve(1);
  }
  assertAnswered(many);
  assert.equal(most, 16);
});

test('a connection that closes without an answer is a failure, whatever was measured', async () => {
  const network = fixture();
  const group = network.room.group(groupOptions(ONCE));
  const server = new RudeServer(network, { inAll: 1 });
  assertAnswered(await served(server, askAtOnce(group, 3)));
  server.manners = { inAll: 0 };
  const before = server.connections;
  const failed = askAtOnce(group, 3, 10);
  await server.serve(100);
  for (const each of failed) assert.match(errorOf(each).message, /ECONNRESET in wait/);
  // Each query once more on another connection.
  assert.equal(server.connections - before, 6);
});

async function served(server: RudeServer, watched: Watched[]): Promise<Watched[]> {
  await server.serve(50);
  return watched;
}

test('one connection that ends with queries in flight changes nothing', async () => {
  const network = fixture();
  const group = network.room.group(groupOptions(ONCE));
  const server = new RudeServer(network, { inAll: 3 });
  const first = askAtOnce(group, 5);
  await server.serve(2);
  server.manners = {};
  await server.serve(20);
  assertAnswered(first);
  const before = server.connections;
  assertAnswered(await served(server, askAtOnce(group, 30, 10)));
  assert.equal(server.connections, before);
});

test('from time to time the agent offers more queries, and keeps doing so where the server has changed', async () => {
  const network = fixture();
  const group = network.room.group(groupOptions({ ...ONCE, expireMs: 3_600_000 }));
  const server = new RudeServer(network, { inAll: 1 });
  assertAnswered(await served(server, askAtOnce(group, 10)));
  await network.clock.advance(61_000);
  const before = server.queries;
  assertAnswered(await served(server, askAtOnce(group, 10, 100)));
  const extra = server.queries - before - 10;
  assert.ok(extra >= 1 && extra <= 10, `${extra} queries more for an offer that is refused`);
  server.manners = {};
  for (let minutes = 0; minutes < 10; minutes++) {
    await network.clock.advance(61_000);
    assertAnswered(await served(server, askAtOnce(group, 1, 1_000 + minutes)));
  }
  const connections = server.connections;
  assertAnswered(await served(server, askAtOnce(group, 30, 2_000)));
  assert.ok(server.connections <= connections + 1);
});

for (const perWrite of [1, 2]) {
  test(`a server that reads ${perWrite} of each segment answers thirty names at once, then one at a time`, async () => {
    const network = fixture();
    const group = network.room.group(groupOptions({ ...ONCE, maxConnectAttempts: 0 }));
    const server = new RudeServer(network, { perWrite });
    const first = askAtOnce(group, 30);
    await server.serve(400);
    assertAnswered(first);
    const before = server.queries;
    const next = askAtOnce(group, 100, 100);
    await server.serve(200);
    assertAnswered(next);
    assert.equal(server.queries - before, 100, 'no query is sent twice');
    const { streams } = network.sockets;
    for (const { batches } of streams.slice(-8))
      assert.ok(batches.every((each) => each.length === 1));
    assert.ok(streams.length <= 20, `${streams.length} connections`);
  });
}

for (const [size, everyMs] of [
  [5, 20],
  [5, 30],
  [3, 10],
] as const) {
  test(`a server that reads one of each segment answers ${size} names every ${everyMs} ms`, async () => {
    const network = fixture();
    const group = network.room.group(groupOptions({ ...ONCE, maxConnectAttempts: 0 }));
    const server = new RudeServer(network, { perWrite: 1 });
    const asked: Watched[] = [];
    while (asked.length < 30) {
      asked.push(...askAtOnce(group, size, asked.length));
      await server.serve(everyMs);
    }
    // New queries in the segment of the scout's copy hide what it finds: it looks again.
    await server.serve(4_000);
    assertAnswered(asked);
  });
}

test('a server that reads one query a connection and leaves it open gets one query on each', async () => {
  const network = fixture();
  const group = network.room.group(groupOptions({ ...ONCE, maxConnectAttempts: 0 }));
  const server = new RudeServer(network, { inAll: 1, staysOpen: true });
  for (const from of [0, 100]) {
    const answered = askAtOnce(group, 30, from);
    await server.serve(3_500);
    assertAnswered(answered);
  }
  const before = server.queries;
  const next = askAtOnce(group, 30, 200);
  await server.serve(300);
  assertAnswered(next);
  assert.equal(server.queries - before, 30);
});

test('slow names on every connection of such a server do not delay others', async () => {
  const network = fixture();
  const { sockets, clock } = network;
  const group = network.room.group(groupOptions({ ...ONCE, maxConnectAttempts: 0 }));
  const server = new RudeServer(network, { perWrite: 1 });
  const first = askAtOnce(group, 30);
  await server.serve(400);
  assertAnswered(first);
  askAtOnce(group, 16, 100);
  await clock.advance(1);
  for (const stream of sockets.streams) if (stream.state === 'open') stream.open();
  const other = askAtOnce(group, 1, 200);
  await clock.advance(150);
  const asked = nameFromText('n200.example.');
  for (const stream of sockets.streams) {
    for (const query of stream.queries) {
      const { head } = query;
      const isOther = Buffer.from(asked).equals(head.name.subarray(0, head.nameLength));
      if (isOther && stream.state === 'open') stream.answer({ address: [192, 0, 2, 80] }, query);
    }
  }
  await clock.advance(1);
  assertAnswered(other);
});

test('slow names do not count as queries that were not read', async () => {
  const network = fixture();
  const { sockets, clock } = network;
  const group = network.room.group(groupOptions({ ...ONCE, maxConnectAttempts: 0 }));
  const slow = askAtOnce(group, 30);
  const [stream] = sockets.streams;
  stream?.open();
  const [quick, ...others] = stream?.queries ?? [];
  stream?.answer({ address: [192, 0, 2, 80] }, quick);
  await clock.advance(220);
  assert.equal(stream?.batches.at(-1)?.length, 1, 'one of them is asked again, alone');
  stream?.answer({ address: [192, 0, 2, 80] });
  await clock.advance(10);
  for (const query of others) stream?.answer({ address: [192, 0, 2, 80] }, query);
  await clock.advance(60);
  assertAnswered(slow);
  askAtOnce(group, 30, 100);
  await clock.advance(1);
  assert.equal(stream?.batches.at(-1)?.length, 30);
  assert.equal(network.metrics.value('nodens_upstream_learned_total'), 0);
});

test('a connection that goes half open with queries in flight changes nothing', async () => {
  const network = fixture();
  const { sockets } = network;
  const group = network.room.group(groupOptions({ ...ONCE, maxConnectAttempts: 0 }));
  const server = new RudeServer(network, { perWrite: 1 });
  const first = askAtOnce(group, 30);
  await server.serve(3);
  const [halfOpen] = sockets.streams;
  assert.equal(halfOpen?.queries.length, 30);
  server.forget(halfOpen);
  server.manners = {};
  await server.serve(1_000);
  assertAnswered(first);
  assert.equal(halfOpen?.state, 'destroyed');
  const next = askAtOnce(group, 30, 100);
  await server.serve(20);
  assertAnswered(next);
  const sizes = sockets.streams.slice(1).map(({ batches }) => batches.at(-1)?.length ?? 0);
  assert.ok(Math.max(...sizes) >= 10, sizes.join());
  assert.equal(network.metrics.value('nodens_upstream_learned_total'), 0);
});

test('a trial query that is not answered is abandoned, and waiting queries end with the upstream', async () => {
  const network = fixture();
  const { sockets, clock, room } = network;
  const group = room.group(groupOptions({ ...ONCE, maxConnectAttempts: 0 }));
  askAtOnce(group, 30);
  const [stream] = sockets.streams;
  stream?.open();
  stream?.answer({ address: [192, 0, 2, 80] }, stream.queries[0]);
  await clock.advance(5_000);
  assert.equal(stream?.state, 'destroyed');
  const server = new RudeServer(network, { inAll: 1 });
  assertAnswered(await served(server, askAtOnce(group, 3, 100)));
  const waiting = askAtOnce(group, 40, 200);
  await clock.advance(1);
  await room.close();
  await clock.advance(1);
  for (const each of waiting) assert.notEqual(each.outcome, undefined);
  assert.equal(clock.pendingTimers, 0);
});
