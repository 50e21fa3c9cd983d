import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FLAG, flagsOf, idOf, putU16 } from '../../../../agent/dns/header.ts';
import { EDE, RCODE, TYPE } from '../../../../agent/dns/iana.ts';
import { nameToText } from '../../../../agent/dns/name.ts';
import { settle } from '../../../support/fake-clock.ts';
import { packet } from '../../../support/packets/read.ts';
import type { FakeDatagram } from '../../../support/upstream/fake-sockets.ts';
import {
  A,
  B,
  errorOf,
  fixture,
  groupOptions,
  question,
  replyOf,
  watch,
} from '../../../support/upstream/fixture.ts';
import { replyTo, type SeenQuery } from '../../../support/upstream/messages.ts';

const ADDRESS = [192, 0, 2, 80] as const;

test('the upstream query has our flags: RD and AD, DO and CD of the client, our payload size, no options', async () => {
  const { room, sockets } = fixture();
  const group = room.group(groupOptions());
  watch(group.exchange(question({ dnssecOk: true, checkingDisabled: true }), 1_000));
  const { head } = sockets.udp(A.address).queries[0] as SeenQuery;
  assert.equal(nameToText(head.name.subarray(0, head.nameLength)), 'www.example.org.');
  assert.equal(head.flags, FLAG.RD | FLAG.AD | FLAG.CD);
  assert.deepEqual([head.type, head.udpSizeBytes, head.dnssecOk], [TYPE.A, 1232, true]);
  assert.equal(head.optRdataEnd - head.optRdataStart, 0);
});

test('a matching reply ends the exchange and is counted', async () => {
  const { room, sockets, metrics, clock } = fixture();
  const group = room.group(groupOptions());
  const watched = watch(group.exchange(question(), 1_000));
  sockets.udp(A.address).answer({ address: ADDRESS });
  await settle();
  const { reply, upstream, transport } = replyOf(watched);
  assert.deepEqual([reply.rcode, reply.records.length], [RCODE.NOERROR, 1]);
  assert.deepEqual([upstream, transport], ['192.0.2.1:53', 'udp']);
  assert.equal(metrics.value('nodens_upstream_queries_total', { to: '192.0.2.1:53' }), 1);
  assert.equal(room.inFlight, 0);
  await clock.advance(100);
  assert.equal(clock.pendingTimers, 1, 'only the timer of idle sockets is left');
});

const IMPOSTORS: readonly [string, (query: SeenQuery) => Buffer, Record<string, string>][] = [
  ['another ID', (query) => replyTo(query, { idOffset: 1 }), { reason: 'id' }],
  ['another question', (query) => replyTo(query, { type: TYPE.AAAA }), { reason: 'question' }],
  ['a query', ({ message }) => message, { reason: 'not_reply' }],
  ['eleven bytes', () => Buffer.alloc(11, 0xff), { reason: 'short' }],
  ['nothing', () => Buffer.alloc(0), { reason: 'short' }],
];

for (const [what, make, labels] of IMPOSTORS) {
  test(`${what} is ignored and counted, the real reply still wins`, async () => {
    const { room, sockets, metrics } = fixture();
    const watched = watch(room.group(groupOptions()).exchange(question(), 1_000));
    const socket = sockets.udp(A.address);
    socket.deliver(make(socket.queries[0] as SeenQuery));
    await settle();
    assert.equal(watched.outcome, undefined);
    assert.equal(metrics.value('nodens_upstream_mismatched_replies_total', labels), 1);
    socket.answer({ address: ADDRESS });
    await settle();
    assert.equal(replyOf(watched).reply.records.length, 1);
  });
}

test('a right reply from a wrong source is ignored', async () => {
  const { room, sockets, metrics } = fixture();
  const watched = watch(room.group(groupOptions()).exchange(question(), 1_000));
  const socket = sockets.udp(A.address);
  const reply = replyTo(socket.queries[0] as SeenQuery, { address: ADDRESS });
  socket.deliver(reply, { address: A.address, port: 5353 });
  socket.deliver(reply, B);
  await settle();
  assert.equal(watched.outcome, undefined);
  const labels = { reason: 'source' };
  assert.equal(metrics.value('nodens_upstream_mismatched_replies_total', labels), 2);
});

test('a reply that is malformed after the question ends the attempt at once', async () => {
  const { room, sockets, metrics } = fixture();
  const watched = watch(
    room.group(groupOptions({ upstreams: [A, B] })).exchange(question(), 1_000),
  );
  const socket = sockets.udp(A.address);
  const whole = replyTo(socket.queries[0] as SeenQuery, { address: ADDRESS });
  socket.deliver(whole.subarray(0, whole.length - 3));
  sockets.udp(B.address).answer({ address: ADDRESS });
  await settle();
  assert.equal(replyOf(watched).upstream, '192.0.2.2:53');
  assert.equal(metrics.value('nodens_upstream_failures_total', { phase: 'match' }), 1);
});

for (const [file, reason] of [
  ['malformed-records/a-3-bytes', 'malformed'],
  ['malformed-records/additional-owner-to-itself', 'malformed'],
  ['unrelated/other-owner', 'unrelated'],
  ['unrelated/not-the-target', 'unrelated'],
] as const) {
  test(`${file} is a failed attempt: the next upstream gets the query, and without one it is SERVFAIL`, async () => {
    const deliver = (socket: FakeDatagram): void => {
      const message = packet(file);
      putU16(message, 0, idOf((socket.queries.at(-1) as SeenQuery).message));
      socket.deliver(message);
    };
    const { room, sockets, metrics } = fixture();
    const both = room.group(groupOptions({ upstreams: [A, B] }));
    const answered = watch(both.exchange(question(), 1_000));
    deliver(sockets.udp(A.address));
    sockets.udp(B.address).answer({ address: ADDRESS });
    await settle();
    assert.equal(replyOf(answered).upstream, '192.0.2.2:53');
    assert.equal(metrics.value('nodens_upstream_failures_total', { phase: 'match' }), 1);
    assert.equal(metrics.value('nodens_upstream_mismatched_replies_total', { reason }), 1);
    const failed = watch(
      room.group(groupOptions({ maxConnectAttempts: 1 })).exchange(question(), 1_000),
    );
    deliver(sockets.udp(A.address));
    // A reply may be unreadable because of EDNS.
    if (reason === 'malformed') deliver(sockets.udp(A.address));
    await settle();
    const { rcode, extended } = errorOf(failed);
    assert.deepEqual([rcode, extended?.code], [RCODE.SERVFAIL, EDE.NO_REACHABLE_AUTHORITY]);
  });
}

test('a truncated reply whose chain is incomplete is asked again over TCP', async () => {
  const { room, sockets } = fixture();
  const watched = watch(room.group(groupOptions()).exchange(question(), 1_000));
  const socket = sockets.udp(A.address);
  const message = packet('unrelated/other-owner');
  putU16(message, 0, idOf((socket.queries[0] as SeenQuery).message));
  putU16(message, 2, flagsOf(message) | FLAG.TC);
  socket.deliver(message);
  const stream = sockets.tcp(A.address);
  stream.open();
  stream.answer({ address: ADDRESS });
  await settle();
  assert.equal(replyOf(watched).transport, 'tcp');
});

test('truncated over UDP is asked again over TCP', async () => {
  const { room, sockets } = fixture();
  const watched = watch(room.group(groupOptions()).exchange(question(), 1_000));
  sockets.udp(A.address).answer({ truncated: true, address: ADDRESS });
  const stream = sockets.tcp(A.address);
  stream.open();
  stream.answer({ address: ADDRESS });
  await settle();
  const { transport, reply } = replyOf(watched);
  assert.deepEqual([transport, reply.truncated], ['tcp', false]);
});

test('a datagram that ends within a record counts as truncated', async () => {
  const { room, sockets, metrics } = fixture();
  const watched = watch(room.group(groupOptions()).exchange(question(), 1_000));
  const socket = sockets.udp(A.address);
  const whole = replyTo(socket.queries[0] as SeenQuery, { truncated: true, address: ADDRESS });
  socket.deliver(whole.subarray(0, whole.length - 3));
  const stream = sockets.tcp(A.address);
  stream.open();
  stream.answer({ address: ADDRESS });
  await settle();
  assert.equal(replyOf(watched).transport, 'tcp');
  assert.equal(metrics.value('nodens_upstream_failures_total', { phase: 'match' }), 0);
});

test('where TCP fails the truncated reply is better than none', async () => {
  const { room, sockets, clock } = fixture();
  const group = room.group(groupOptions({ maxConnectAttempts: 1 }));
  const watched = watch(group.exchange(question(), 1_000));
  sockets.udp(A.address).answer({ truncated: true, address: ADDRESS });
  sockets.tcp(A.address).close('ECONNREFUSED');
  sockets.tcp(A.address).close('ECONNREFUSED');
  await clock.advance(100);
  assert.equal(replyOf(watched).reply.truncated, true);
});

test('FORMERR to EDNS is asked again without OPT, and the agent remembers that for a while', async () => {
  const { room, sockets, clock } = fixture();
  const group = room.group(groupOptions({ maxFails: 0 }));
  const watched = watch(group.exchange(question(), 1_000));
  const socket = sockets.udp(A.address);
  const bare = replyTo(socket.queries[0] as SeenQuery, { rcode: RCODE.FORMERR }).subarray(0, 12);
  bare.fill(0, 4, 12);
  socket.deliver(bare);
  assert.equal(socket.queries.at(-1)?.head.hasOpt, false);
  socket.answer({ address: ADDRESS });
  await settle();
  assert.equal(replyOf(watched).reply.rcode, RCODE.NOERROR);
  // So does the agent's own question: the name is not the cause.
  assert.equal(socket.queries.at(-1)?.head.type, TYPE.NS);
  socket.answer({ rcode: RCODE.FORMERR });
  socket.answer({});
  watch(group.exchange(question(), 1_000));
  assert.equal(socket.queries.at(-1)?.head.hasOpt, false);
  await clock.advance(600_000);
  watch(group.exchange(question(), 1_000));
  assert.equal(sockets.udp(A.address).queries.at(-1)?.head.hasOpt, true);
});

test('FORMERR with and without OPT is an error of the query: EDNS stays', async () => {
  const { room, sockets } = fixture();
  const group = room.group(groupOptions());
  const watched = watch(group.exchange(question(), 1_000));
  const socket = sockets.udp(A.address);
  socket.answer({ rcode: RCODE.FORMERR });
  socket.answer({ rcode: RCODE.FORMERR });
  await settle();
  assert.equal(replyOf(watched).reply.rcode, RCODE.FORMERR);
  watch(group.exchange(question(), 1_000));
  assert.equal(socket.queries.at(-1)?.head.hasOpt, true);
});

test('no two queries in flight on a socket share an ID', async () => {
  const { room, sockets } = fixture();
  const group = room.group(groupOptions());
  for (let i = 0; i < 500; i++) watch(group.exchange(question(), 1_000));
  const [socket] = sockets.datagrams;
  const ids = new Set(socket?.queries.map(({ head }) => head.id));
  assert.equal(ids.size, 500);
});

test('a socket is replaced after a thousand queries and closed when the last is answered', async () => {
  const { room, sockets } = fixture();
  const group = room.group(groupOptions());
  const pending = watch(group.exchange(question(), 4_000));
  const [first] = sockets.datagrams;
  for (let i = 1; i < 1_000; i++) {
    watch(group.exchange(question(), 4_000));
    first?.answer({ address: ADDRESS });
  }
  assert.equal(sockets.datagrams.length, 1);
  watch(group.exchange(question(), 4_000));
  assert.equal(sockets.datagrams.length, 2);
  assert.equal(first?.isClosed, false);
  first?.answer({ address: ADDRESS }, first.queries[0]);
  await settle();
  assert.equal(replyOf(pending).reply.rcode, 0);
  assert.equal(first?.isClosed, true);
});

test('a socket is replaced after ten seconds', async () => {
  const { room, sockets, metrics, clock } = fixture();
  const group = room.group(groupOptions());
  watch(group.exchange(question(), 1_000));
  sockets.udp(A.address).answer({ address: ADDRESS });
  const open = (): number => metrics.value('nodens_upstream_connections', { transport: 'udp' });
  assert.equal(open(), 1);
  await clock.advance(11_000);
  assert.equal(open(), 0);
  assert.equal(sockets.datagrams[0]?.isClosed, true);
});

test('a refused port is tried in two rounds, with a pause between them', async () => {
  const { room, sockets, clock } = fixture();
  const group = room.group(groupOptions({ preferUdp: true, maxFails: 0 }));
  const watched = watch(group.exchange(question(), 4_000));
  sockets.udp(A.address).fail({ phase: 'wait', errno: 'ECONNREFUSED' });
  await clock.advance(40);
  assert.equal(sockets.datagrams.length, 1, 'not at once');
  for (let i = 0; i < 10; i++) {
    await clock.advance(100);
    const socket = sockets.datagrams.at(-1);
    if (socket?.isClosed === false) socket.fail({ phase: 'wait', errno: 'ECONNREFUSED' });
    for (const stream of sockets.streams) if (stream.state === 'open') stream.close('ECONNREFUSED');
  }
  assert.equal(sockets.datagrams.length, 2);
  assert.equal(sockets.streams.length, 2, 'one more dial is free');
  const error = errorOf(watched);
  assert.match(error.message, /192\.0\.2\.1:53 over udp: ECONNREFUSED in wait after \d+ ms/);
  assert.deepEqual([error.rcode, error.extended?.code], [RCODE.SERVFAIL, 23]);
});

test('a lost query is asked again before the deadline, and a late reply to the first still counts', async () => {
  const { room, sockets, clock } = fixture();
  const group = room.group(groupOptions({ preferUdp: true }));
  const watched = watch(group.exchange(question(), 4_000));
  const [query] = sockets.udp(A.address).queries;
  await clock.advance(1_100);
  const stream = sockets.tcp(A.address);
  stream.open();
  assert.deepEqual(
    stream.queries.map(({ head }) => head.type),
    [TYPE.A],
  );
  sockets.udp(A.address).answer({ address: ADDRESS }, query);
  await settle();
  assert.deepEqual([replyOf(watched).reply.rcode, replyOf(watched).transport], [0, 'udp']);
});
