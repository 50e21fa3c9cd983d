/** Upstreams with one transport only, or with partial support of DNS: all resolve, and the agent remembers what works. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode } from 'dns-packet';
import { buildResponse } from '../../../../agent/dns/build.ts';
import { FLAG, idOf, putU16 } from '../../../../agent/dns/header.ts';
import { TYPE } from '../../../../agent/dns/iana.ts';
import { settle } from '../../../support/fake-clock.ts';
import type { FakeSockets } from '../../../support/upstream/fake-sockets.ts';
import {
  A,
  fixture,
  groupOptions,
  question,
  replyOf,
  watch,
} from '../../../support/upstream/fixture.ts';
import type { SeenQuery } from '../../../support/upstream/messages.ts';

const ADDRESS = [192, 0, 2, 80] as const;

const refuseTcp = (sockets: FakeSockets): void => {
  for (const stream of sockets.streams) if (stream.state === 'open') stream.close('ECONNREFUSED');
};

test('a UDP-only upstream is resolved under force_tcp, over UDP first from the third query on', async () => {
  const { room, sockets, clock } = fixture();
  const group = room.group(groupOptions({ forceTcp: true }));
  for (let i = 0; i < 3; i++) {
    const watched = watch(group.exchange(question(), 4_000));
    for (let ms = 0; ms < 400 && watched.outcome === undefined; ms += 20) {
      refuseTcp(sockets);
      await clock.advance(20);
      for (const socket of sockets.datagrams)
        if (!socket.isClosed) socket.answer({ address: ADDRESS });
      await settle();
    }
    assert.equal(replyOf(watched).transport, 'udp');
  }
  const dialled = sockets.streams.length;
  const watched = watch(group.exchange(question(), 4_000));
  sockets.udp(A.address).answer({ address: ADDRESS });
  await settle();
  assert.equal(replyOf(watched).transport, 'udp');
  assert.equal(sockets.streams.length, dialled, 'TCP was not tried');
  await clock.advance(600_000);
  watch(group.exchange(question(), 4_000));
  assert.equal(sockets.streams.length, dialled + 1, 'after ten minutes TCP is tried');
});

test('a TCP-only upstream is resolved under prefer_udp, over TCP first from the third query on', async () => {
  const { room, sockets, clock } = fixture();
  const group = room.group(groupOptions({ preferUdp: true }));
  for (let i = 0; i < 3; i++) {
    const watched = watch(group.exchange(question(), 4_000));
    sockets.udp(A.address).fail({ phase: 'wait', errno: 'ECONNREFUSED' });
    await clock.advance(100);
    const stream = sockets.tcp(A.address);
    if (i === 0) stream.open();
    stream.answer({ address: ADDRESS });
    await settle();
    assert.equal(replyOf(watched).transport, 'tcp');
  }
  const sockets4 = sockets.datagrams.length;
  watch(group.exchange(question(), 4_000));
  await settle();
  assert.equal(sockets.datagrams.length, sockets4, 'UDP was not tried');
});

test('one lost datagram does not change the transport', async () => {
  const { room, sockets, clock } = fixture();
  const group = room.group(groupOptions({ preferUdp: true }));
  for (let i = 0; i < 6; i++) {
    const watched = watch(group.exchange(question(), 4_000));
    if (i % 2 === 1) {
      sockets.udp(A.address).answer({ address: ADDRESS });
    } else {
      await clock.advance(1_100);
      const stream = sockets.tcp(A.address);
      stream.open();
      await settle();
      stream.answer({ address: ADDRESS });
    }
    await settle();
    assert.equal(replyOf(watched).transport, i % 2 === 1 ? 'udp' : 'tcp');
  }
});

test('randomized case: the reply must repeat it, and no client sees it afterwards', async () => {
  const { room, sockets, metrics } = fixture();
  const group = room.group(groupOptions({ randomizeCase: true }));
  const lower = question().name;
  const spellings = new Set<string>();
  for (let i = 0; i < 20; i++) {
    const watched = watch(group.exchange(question(), 4_000));
    const socket = sockets.udp(A.address);
    const sent = socket.queries.at(-1)?.message.subarray(12, 12 + lower.length) as Buffer;
    spellings.add(sent.toString('latin1'));
    const forged = Buffer.from(sent);
    forged[1] = (forged[1] as number) ^ 0x20;
    socket.answer({ address: ADDRESS, name: forged });
    await settle();
    assert.equal(watched.outcome, undefined);
    socket.answer({ address: ADDRESS, name: sent });
    await settle();
    const { wire } = replyOf(watched).reply;
    assert.deepEqual([...wire.subarray(12, 12 + lower.length)], [...lower]);
  }
  assert.ok(spellings.size > 5, [...spellings].join(' '));
  assert.equal(metrics.value('nodens_upstream_mismatched_replies_total', { reason: 'case' }), 20);
});

test('randomized case is in no name of the reply, wherever the upstream placed it', async () => {
  const { room, sockets } = fixture();
  const group = room.group(groupOptions({ randomizeCase: true }));
  const lower = question().name;
  for (let i = 0; i < 20; i++) {
    const watched = watch(group.exchange(question(), 4_000));
    const socket = sockets.udp(A.address);
    const { message } = socket.queries.at(-1) as SeenQuery;
    const sent = message.subarray(12, 12 + lower.length);
    const zone = sent.subarray(4);
    const wire = buildResponse(
      { name: sent, type: TYPE.A, class: 1 },
      {
        ...{ rcode: 0, flags: FLAG.RA },
        answer: [{ name: sent, type: TYPE.A, ttlSeconds: 60, rdata: Uint8Array.from(ADDRESS) }],
        authority: [{ name: zone, type: TYPE.NS, ttlSeconds: 60, rdata: zone }],
      },
    );
    putU16(wire, 0, idOf(message));
    socket.deliver(wire);
    await settle();
    const { questions, answers, authorities } = decode(replyOf(watched).reply.wire);
    const names = [questions, answers, authorities].flatMap((section) =>
      (section ?? []).map((each) => each.name),
    );
    assert.deepEqual(names, ['www.example.org', 'www.example.org', 'example.org']);
    const [server] = authorities ?? [];
    assert.equal(server?.type === 'NS' && server.data, 'example.org');
  }
});

test('an upstream that does not keep the case is asked over TCP', async () => {
  const { room, sockets, clock } = fixture();
  const group = room.group(groupOptions({ randomizeCase: true }));
  // Of the twelve letters at least one is upper case with these IDs.
  for (let i = 0; i < 5; i++) watch(group.exchange(question(), 100));
  const watched = watch(group.exchange(question(), 4_000));
  sockets.udp(A.address).answer({ address: ADDRESS, name: question().name });
  await clock.advance(1_100);
  const stream = sockets.tcp(A.address);
  stream.open();
  const sent = stream.queries.at(-1)?.message.subarray(12, 12 + question().name.length);
  assert.deepEqual([...(sent ?? [])], [...question().name], 'a stream does not need the entropy');
  stream.answer({ address: ADDRESS });
  await settle();
  assert.equal(replyOf(watched).transport, 'tcp');
});

test('with a socket for each query none is used twice', async () => {
  const { room, sockets } = fixture();
  const group = room.group(groupOptions({ socketPerQuery: true }));
  for (let i = 0; i < 10; i++) {
    watch(group.exchange(question(), 4_000));
    sockets.udp(A.address).answer({ address: ADDRESS });
    await settle();
  }
  assert.deepEqual(
    sockets.datagrams.map(({ queries }) => queries.length),
    new Array(10).fill(1),
  );
  assert.equal(sockets.datagrams.filter(({ isClosed }) => isClosed).length, 9);
});
