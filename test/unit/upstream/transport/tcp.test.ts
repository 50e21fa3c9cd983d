import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { UpstreamGroup } from '../../../../agent/query/services/upstreams.ts';
import { settle } from '../../../support/fake-clock.ts';
import {
  A,
  B,
  errorOf,
  type Fixture,
  fixture,
  groupOptions,
  question,
  replyOf,
  watch,
} from '../../../support/upstream/fixture.ts';

const ADDRESS = [192, 0, 2, 80] as const;
const TCP = groupOptions({ forceTcp: true });

test('queries that come together are written together, on one connection', async () => {
  const { room, sockets, metrics } = fixture();
  const group = room.group(TCP);
  for (let i = 0; i < 3; i++) watch(group.exchange(question(), 4_000));
  const stream = sockets.tcp(A.address);
  assert.equal(stream.writes, 0);
  stream.open();
  assert.deepEqual([stream.writes, stream.queries.length], [1, 3]);
  for (let i = 0; i < 5; i++) watch(group.exchange(question(), 4_000));
  await settle();
  assert.deepEqual([stream.writes, stream.queries.length, sockets.streams.length], [2, 8, 1]);
  const labels = { proto: 'tcp' };
  assert.equal(metrics.value('coredns_proxy_conn_cache_misses_total', labels), 3);
  assert.equal(metrics.value('coredns_proxy_conn_cache_hits_total', labels), 5);
});

test('a query abandoned before the connection opened is not sent', async () => {
  const { room, sockets, clock } = fixture();
  const group = room.group(TCP);
  watch(group.exchange(question({ type: 1 }), 100));
  watch(group.exchange(question({ type: 28 }), 4_000));
  await clock.advance(150);
  sockets.tcp(A.address).open();
  const types = sockets.tcp(A.address).queries.map(({ head }) => head.type);
  assert.deepEqual(types, [28]);
});

test('the agent opens more connections beside a busy one, up to four', async () => {
  const { room, sockets } = fixture({ random: () => 0.5 });
  const group = room.group(TCP);
  for (let i = 0; i < 64; i++) watch(group.exchange(question(), 4_000));
  assert.equal(sockets.streams.length, 1);
  for (let i = 0; i < 1_000; i++) watch(group.exchange(question(), 4_000));
  assert.equal(sockets.streams.length, 4);
  for (const stream of sockets.streams) stream.open();
  const loads = sockets.streams.map(({ queries }) => queries.length);
  assert.ok(Math.max(...loads) - Math.min(...loads) <= 1, loads.join());
});

test('with several open connections, queries of one turn still share a write, up to 64', async () => {
  const { room, sockets } = fixture({ random: () => 0.5 });
  const group = room.group(TCP);
  for (let i = 0; i < 65; i++) watch(group.exchange(question(), 4_000));
  assert.equal(sockets.streams.length, 2);
  for (const stream of sockets.streams) {
    stream.open();
    for (const query of [...stream.queries]) stream.answer({ address: ADDRESS }, query);
  }
  await settle();
  const before = sockets.streams.map(({ batches }) => batches.length);
  for (let i = 0; i < 80; i++) watch(group.exchange(question(), 4_000));
  await settle();
  const sizes = sockets.streams.map(({ batches }, i) =>
    batches.slice(before[i]).map(({ length }) => length),
  );
  assert.deepEqual(
    sizes.flat().toSorted((x, y) => x - y),
    [16, 64],
  );
});

test('queries in flight on a dying connection are sent on a new one, once', async () => {
  const { room, sockets, clock } = fixture();
  // With EDNS the query would be sent without EDNS as well.
  const options = { forceTcp: true, maxConnectAttempts: 1, noEdns: true };
  const watched = watch(room.group(groupOptions(options)).exchange(question(), 4_000));
  const [first] = sockets.streams;
  first?.open();
  first?.close();
  const second = sockets.tcp(A.address);
  assert.notEqual(second, first);
  second.open();
  await clock.advance(10);
  assert.equal(second.queries.length, 1);
  assert.equal(watched.outcome, undefined);
  second.close('ECONNRESET');
  await settle();
  assert.match(errorOf(watched).message, /192\.0\.2\.1:53 over tcp: ECONNRESET in wait/);
  assert.equal(sockets.streams.filter(({ queries }) => queries.length > 0).length, 2);
});

test('an idle connection is closed after expire, and the next query opens another', async () => {
  const { room, sockets, clock } = fixture();
  const group = room.group(groupOptions({ forceTcp: true, expireMs: 5_000 }));
  watch(group.exchange(question(), 4_000));
  const first = sockets.tcp(A.address);
  first.open();
  first.answer({ address: ADDRESS });
  await clock.advance(4_000);
  assert.equal(first.state, 'open');
  await clock.advance(2_000);
  assert.equal(first.state, 'ended');
  watch(group.exchange(question(), 4_000));
  assert.notEqual(sockets.tcp(A.address), first);
});

test('a connection that cannot be opened is abandoned after two seconds', async () => {
  const { room, sockets, clock, metrics } = fixture();
  const group = room.group(groupOptions({ forceTcp: true, maxConnectAttempts: 1, maxFails: 0 }));
  const watched = watch(group.exchange(question(), 4_000));
  await clock.advance(2_100);
  assert.equal(sockets.tcp(A.address).state, 'destroyed');
  const { message, extended } = errorOf(watched);
  assert.match(message, /ETIMEDOUT in connect after 20\d\d ms/);
  assert.equal(extended?.code, 22);
  assert.equal(metrics.value('nodens_upstream_connections', { transport: 'tcp' }), 0);
});

test('the agent sends no more queries on a connection that has become silent', async () => {
  const { room, sockets, clock } = fixture();
  const group = room.group(groupOptions({ forceTcp: true, maxFails: 0 }));
  watch(group.exchange(question(), 4_000));
  const silent = sockets.tcp(A.address);
  silent.open();
  silent.answer({ address: ADDRESS });
  await clock.advance(5_000);
  const stuck = watch(group.exchange(question(), 4_000));
  await clock.advance(300);
  const fresh = sockets.tcp(A.address);
  assert.notEqual(fresh, silent, 'the second attempt has its own connection');
  fresh.open();
  fresh.answer({ address: ADDRESS });
  await settle();
  assert.equal(replyOf(stuck).reply.rcode, 0);
  assert.equal(silent.state, 'destroyed', 'nothing was received on it since the query was sent');
});

test('a connection that answers other queries survives one that it does not answer', async () => {
  const { room, sockets, clock } = fixture();
  const group = room.group(groupOptions({ forceTcp: true, maxConnectAttempts: 1, maxFails: 0 }));
  const slow = watch(group.exchange(question({ type: 16 }), 2_000));
  const stream = sockets.tcp(A.address);
  stream.open();
  for (let i = 0; i < 20; i++) {
    watch(group.exchange(question(), 1_000));
    await clock.advance(100);
    stream.answer({ address: ADDRESS });
  }
  await clock.advance(100);
  assert.match(errorOf(slow).message, /ETIMEDOUT in wait/);
  assert.deepEqual([stream.state, sockets.streams.length], ['open', 1]);
});

test('a dead first upstream leaves enough time for the second', async () => {
  const { room, sockets, clock } = fixture();
  const watched = watch(
    room.group(groupOptions({ forceTcp: true, upstreams: [A, B] })).exchange(question(), 4_000),
  );
  await clock.advance(1_100);
  const second = sockets.tcp(B.address);
  second.open();
  second.answer({ address: ADDRESS });
  await settle();
  assert.equal(replyOf(watched).upstream, '192.0.2.2:53');
});

/** One query after the other; each is answered on its connection. */
async function askInTurn(
  { room: _, sockets }: Fixture,
  group: UpstreamGroup,
  count: number,
): Promise<void> {
  for (let i = 0; i < count; i++) {
    const watched = watch(group.exchange(question(), 4_000));
    await settle();
    for (const stream of sockets.streams) {
      if (watched.outcome === undefined && stream.state === 'open' && stream.queries.length > 0)
        stream.answer({ address: ADDRESS });
      await settle();
    }
    assert.equal(replyOf(watched).reply.rcode, 0);
  }
}

test('a connection is used until its replacement is open, then drained and closed', async () => {
  const network = fixture({ random: () => 0.5 });
  const { room, sockets } = network;
  const group = room.group(TCP);
  watch(group.exchange(question(), 4_000));
  const [first] = sockets.streams;
  first?.open();
  first?.answer({ address: ADDRESS });
  await askInTurn(network, group, 70);
  assert.equal(sockets.streams.length, 1, 'many queries at one moment are no reason to dial');
  await network.clock.advance(100);
  await askInTurn(network, group, 1);
  assert.equal(sockets.streams.length, 2);
  assert.equal(first?.queries.length, 72, 'the replacement is not open yet');
  const pending = watch(group.exchange(question(), 4_000));
  await settle();
  const last = first?.queries.at(-1);
  sockets.streams[1]?.open();
  assert.equal(first?.state, 'open', 'a query is in flight on it');
  await askInTurn(network, group, 3);
  assert.equal(sockets.streams[1]?.queries.length, 3);
  first?.answer({ address: ADDRESS }, last);
  await settle();
  assert.deepEqual([replyOf(pending).reply.rcode, first?.state], [0, 'ended']);
});

test('a connection expires after about thirty seconds; max_age changes that and 0 removes the limit', async () => {
  const ages = async (maxAgeMs: number | undefined, random: number): Promise<number> => {
    const network = fixture({ random: () => random });
    const { room, sockets, clock } = network;
    const options = { forceTcp: true, maxFails: 0, expireMs: 1_000_000 };
    const group = room.group(groupOptions({ ...options, maxAgeMs }));
    watch(group.exchange(question(), 4_000));
    sockets.streams[0]?.open();
    sockets.streams[0]?.answer({ address: ADDRESS });
    for (let seconds = 0; seconds < 60; seconds += 2) {
      await askInTurn(network, group, 1);
      if (sockets.streams.length > 1) return seconds;
      await clock.advance(2_000);
    }
    return Number.POSITIVE_INFINITY;
  };
  assert.deepEqual(await Promise.all([ages(undefined, 0), ages(undefined, 0.999)]), [20, 40]);
  assert.equal(await ages(10_000, 0.5), 10);
  assert.equal(await ages(0, 0.5), Number.POSITIVE_INFINITY);
});

test('the number of idle connections is bounded', async () => {
  const { room, sockets, clock } = fixture({ random: () => 0.999 });
  const group = room.group(groupOptions({ forceTcp: true, maxIdleConnections: 1 }));
  for (let i = 0; i < 240; i++) watch(group.exchange(question(), 4_000));
  for (const stream of sockets.streams) stream.open();
  assert.equal(sockets.streams.length, 4);
  for (const stream of sockets.streams)
    for (const query of stream.queries) stream.answer({ address: ADDRESS }, query);
  await clock.advance(2_000);
  assert.equal(sockets.streams.filter(({ state }) => state === 'open').length, 1);
});

test('a silent connection is avoided as soon as it is late, and dropped once it has no query in flight', async () => {
  const network = fixture({ random: () => 0.5 });
  const { room, sockets, clock } = network;
  const group = room.group(TCP);
  watch(group.exchange(question(), 4_000));
  const [silent] = sockets.streams;
  silent?.open();
  silent?.answer({ address: ADDRESS });
  watch(group.exchange(question(), 4_000));
  await clock.advance(60);
  watch(group.exchange(question(), 4_000));
  await settle();
  assert.equal(sockets.streams.length, 2, 'the next query uses another');
  assert.equal(silent?.queries.length, 2);
});

for (const { errno, most } of [
  { errno: 'EHOSTUNREACH', most: 14 },
  { errno: 'ECONNREFUSED', most: 21 },
])
  test(`dials that fail with ${errno} are bounded, whichever client asks`, async () => {
    const { room, sockets, clock } = fixture();
    const group = room.group(groupOptions({ forceTcp: true, maxFails: 0 }));
    for (let ms = 0; ms < 5_000; ms += 10) {
      watch(group.exchange(question(), 100));
      for (const stream of sockets.streams) if (stream.state === 'open') stream.close(errno);
      await clock.advance(10);
    }
    const dialled = sockets.streams.length;
    assert.ok(dialled >= 6 && dialled <= most, `${dialled} dials in 5 s`);
  });

test('a Service with a dead endpoint is dialled again at once, many times in a row', async () => {
  const { room, sockets, clock } = fixture();
  const group = room.group(groupOptions({ forceTcp: true, maxFails: 0 }));
  for (let query = 0; query < 4; query++) {
    watch(group.exchange(question(), 4_000));
    for (let dial = 0; dial < 2; dial++) sockets.tcp(A.address).close('ECONNREFUSED');
  }
  const lucky = watch(group.exchange(question(), 4_000));
  await clock.advance(1);
  assert.equal(sockets.streams.length, 9);
  sockets.tcp(A.address).open();
  sockets.tcp(A.address).answer({ address: ADDRESS });
  await settle();
  assert.equal(replyOf(lucky).reply.rcode, 0);
});
