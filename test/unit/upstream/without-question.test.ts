/** Errors that do not repeat the question: accepted as replies where that does no harm. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { frame } from '../../../agent/dns/frame.ts';
import { qdcountOf } from '../../../agent/dns/header.ts';
import { RCODE } from '../../../agent/dns/iana.ts';
import { settle } from '../../support/fake-clock.ts';
import {
  A,
  fixture,
  groupOptions,
  question,
  replyOf,
  watch,
} from '../../support/upstream/fixture.ts';
import { bareReplyTo, type SeenQuery } from '../../support/upstream/messages.ts';

const ADDRESS = [192, 0, 2, 80] as const;
const ERRORS = ['FORMERR', 'NOTIMP', 'SERVFAIL', 'REFUSED', 'NOTAUTH', 'BADVERS'] as const;
/** One attempt, so that its reply is final. */
const ONCE = { maxConnectAttempts: 1, maxFails: 0 };

for (const rcode of ERRORS) {
  for (const hasOpt of rcode === 'BADVERS' ? [true] : [false, true]) {
    const what = `${rcode} of ${hasOpt ? 23 : 12} bytes`;
    test(`${what} over UDP is a reply, and is returned with the client’s question`, async () => {
      const { room, sockets } = fixture();
      const watched = watch(room.group(groupOptions(ONCE)).exchange(question(), 1_000));
      const socket = sockets.udp(A.address);
      const say = (): void => {
        const query = socket.queries.at(-1) as SeenQuery;
        socket.deliver(bareReplyTo(query, RCODE[rcode], hasOpt));
      };
      const asked = socket.queries.length;
      say();
      if (socket.queries.length > asked) say();
      await settle();
      const { reply } = replyOf(watched);
      assert.deepEqual([reply.rcode, qdcountOf(reply.wire)], [RCODE[rcode], 1]);
    });

    test(`${what} over TCP is a reply, and is returned with the client’s question`, async () => {
      const { room, sockets } = fixture();
      const group = room.group(groupOptions({ ...ONCE, forceTcp: true }));
      const watched = watch(group.exchange(question(), 1_000));
      const stream = sockets.tcp(A.address);
      stream.open();
      const say = (): void => {
        const query = stream.queries.at(-1) as SeenQuery;
        stream.deliver(frame(bareReplyTo(query, RCODE[rcode], hasOpt)));
      };
      const asked = stream.queries.length;
      say();
      await settle();
      if (stream.queries.length > asked) say();
      await settle();
      const { reply } = replyOf(watched);
      assert.deepEqual([reply.rcode, qdcountOf(reply.wire)], [RCODE[rcode], 1]);
    });
  }
}

for (const rcode of ['NOERROR', 'NXDOMAIN'] as const) {
  test(`${rcode} without a question is no answer: over UDP the real reply still wins`, async () => {
    const { room, sockets, metrics } = fixture();
    const watched = watch(room.group(groupOptions(ONCE)).exchange(question(), 1_000));
    const socket = sockets.udp(A.address);
    for (const hasOpt of [false, true])
      socket.deliver(bareReplyTo(socket.queries[0] as SeenQuery, RCODE[rcode], hasOpt));
    await settle();
    assert.equal(watched.outcome, undefined);
    const labels = { reason: 'question' };
    assert.equal(metrics.value('nodens_upstream_mismatched_replies_total', labels), 2);
    socket.answer({ address: ADDRESS });
    await settle();
    assert.equal(replyOf(watched).reply.records.length, 1);
  });

  test(`${rcode} without a question over TCP is a failed attempt, not silence`, async () => {
    const { room, sockets, clock } = fixture();
    const group = room.group(groupOptions({ forceTcp: true, maxFails: 0 }));
    const watched = watch(group.exchange(question(), 4_000));
    const stream = sockets.tcp(A.address);
    stream.open();
    stream.deliver(frame(bareReplyTo(stream.queries[0] as SeenQuery, RCODE[rcode], false)));
    await clock.advance(100);
    stream.answer({ address: ADDRESS });
    await settle();
    assert.equal(replyOf(watched).reply.records.length, 1);
  });
}

test('an error without a question with records or other bytes is no reply', async () => {
  const { room, sockets } = fixture();
  const watched = watch(room.group(groupOptions(ONCE)).exchange(question(), 1_000));
  const socket = sockets.udp(A.address);
  const query = socket.queries[0] as SeenQuery;
  const bare = bareReplyTo(query, RCODE.SERVFAIL, false);
  socket.deliver(Buffer.concat([bare, Buffer.alloc(20)]));
  const counted = bareReplyTo(query, RCODE.SERVFAIL, true);
  counted.writeUInt16BE(1, 6);
  socket.deliver(counted);
  const noOpt = bareReplyTo(query, RCODE.SERVFAIL, true);
  noOpt.writeUInt16BE(1, 13);
  socket.deliver(noOpt);
  await settle();
  assert.equal(watched.outcome, undefined);
});

for (const hasOpt of [false, true])
  test(`with random letter case FORMERR ${hasOpt ? 'with' : 'without'} OPT is accepted, and any other error leads to a query over TCP`, async () => {
    const { room, sockets, metrics } = fixture();
    const group = room.group(groupOptions({ ...ONCE, randomizeCase: true }));
    const watched = watch(group.exchange(question(), 1_000));
    const socket = sockets.udp(A.address);
    socket.deliver(bareReplyTo(socket.queries[0] as SeenQuery, RCODE.FORMERR, hasOpt));
    assert.equal(socket.queries.length, 2, 'once more, without OPT');
    socket.deliver(bareReplyTo(socket.queries[1] as SeenQuery, RCODE.SERVFAIL, hasOpt));
    await settle();
    assert.equal(watched.outcome, undefined, 'a forger must guess the letter case, too');
    const labels = { reason: 'question' };
    assert.equal(metrics.value('nodens_upstream_mismatched_replies_total', labels), 1);
    const stream = sockets.tcp(A.address);
    stream.open();
    stream.answer({ address: ADDRESS });
    await settle();
    assert.deepEqual([replyOf(watched).transport, replyOf(watched).reply.rcode], ['tcp', 0]);
  });
