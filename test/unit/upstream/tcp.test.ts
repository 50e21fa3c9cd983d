import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settle } from '../../support/fake-clock.ts';
import {
  A,
  B,
  errorOf,
  groupOptions,
  question,
  replyOf,
  rig,
  watch,
} from '../../support/upstream/rig.ts';

const ADDRESS = [192, 0, 2, 80] as const;
const TCP = groupOptions({ forceTcp: true });

test('queries that come together are written together, on one connection', async () => {
  const { room, sockets, metrics } = rig();
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

test('what was given up before the connection opened is not sent', async () => {
  const { room, sockets, clock } = rig();
  const group = room.group(TCP);
  watch(group.exchange(question({ type: 1 }), 100));
  watch(group.exchange(question({ type: 28 }), 4_000));
  await clock.advance(150);
  sockets.tcp(A.address).open();
  const types = sockets.tcp(A.address).queries.map(({ head }) => head.type);
  assert.deepEqual(types, [28]);
});

test('a busy connection gets company, up to four', async () => {
  const { room, sockets } = rig();
  const group = room.group(TCP);
  for (let i = 0; i < 64; i++) watch(group.exchange(question(), 4_000));
  assert.equal(sockets.streams.length, 1);
  for (let i = 0; i < 1_000; i++) watch(group.exchange(question(), 4_000));
  assert.equal(sockets.streams.length, 4);
  for (const stream of sockets.streams) stream.open();
  const loads = sockets.streams.map(({ queries }) => queries.length);
  assert.ok(Math.max(...loads) - Math.min(...loads) <= 1, loads.join());
});

test('what a dying connection had in flight is asked on a fresh one, once', async () => {
  const { room, sockets, clock } = rig();
  const group = room.group(groupOptions({ forceTcp: true, maxConnectAttempts: 1 }));
  const watched = watch(group.exchange(question(), 4_000));
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
  const { room, sockets, clock } = rig();
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

test('a connection that cannot be opened is given up after two seconds', async () => {
  const { room, sockets, clock, metrics } = rig();
  const group = room.group(groupOptions({ forceTcp: true, maxConnectAttempts: 1, maxFails: 0 }));
  const watched = watch(group.exchange(question(), 4_000));
  await clock.advance(2_100);
  assert.equal(sockets.tcp(A.address).state, 'destroyed');
  const { message, extended } = errorOf(watched);
  assert.match(message, /ETIMEDOUT in connect after 20\d\d ms/);
  assert.equal(extended?.code, 22);
  assert.equal(metrics.value('nodens_upstream_connections', { transport: 'tcp' }), 0);
});

test('queries do not pile up on a connection that has gone silent', async () => {
  const { room, sockets, clock } = rig();
  const group = room.group(groupOptions({ forceTcp: true, maxFails: 0 }));
  watch(group.exchange(question(), 4_000));
  const silent = sockets.tcp(A.address);
  silent.open();
  silent.answer({ address: ADDRESS });
  await clock.advance(5_000);
  const stuck = watch(group.exchange(question(), 4_000));
  await clock.advance(300);
  const fresh = sockets.tcp(A.address);
  assert.notEqual(fresh, silent, 'the second attempt has a connection of its own');
  fresh.open();
  fresh.answer({ address: ADDRESS });
  await settle();
  assert.equal(replyOf(stuck).reply.rcode, 0);
  assert.equal(silent.state, 'destroyed', 'nothing came back on it since the query was sent');
});

test('a connection that still answers others survives a query it does not answer', async () => {
  const { room, sockets, clock } = rig();
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

test('a dead first upstream leaves time for the second', async () => {
  const { room, sockets, clock } = rig();
  const watched = watch(
    room.group(groupOptions({ forceTcp: true, targets: [A, B] })).exchange(question(), 4_000),
  );
  await clock.advance(1_100);
  const second = sockets.tcp(B.address);
  second.open();
  second.answer({ address: ADDRESS });
  await settle();
  assert.equal(replyOf(watched).upstream, '192.0.2.2:53');
});
