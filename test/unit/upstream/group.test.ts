import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RCODE } from '../../../agent/dns/iana.ts';
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

test('the transport follows the client unless the Corefile says otherwise', () => {
  const cases = [
    [{}, 'udp', 'udp'],
    [{}, 'tcp', 'tcp'],
    [{ preferUdp: true }, 'tcp', 'udp'],
    [{ forceTcp: true }, 'udp', 'tcp'],
    [{ forceTcp: true, preferUdp: true }, 'udp', 'tcp'],
  ] as const;
  for (const [options, clientTransport, expected] of cases) {
    const { room, sockets } = rig();
    watch(room.group(groupOptions(options)).exchange(question({ clientTransport }), 1_000));
    const used = sockets.streams.length > 0 ? 'tcp' : 'udp';
    assert.equal(used, expected, JSON.stringify([options, clientTransport]));
  }
});

test('an upstream that is deaf over the client’s transport is asked over the other', async () => {
  const { room, sockets, clock } = rig();
  const watched = watch(room.group(groupOptions({ maxFails: 0 })).exchange(question(), 4_000));
  await clock.advance(1_100);
  const stream = sockets.tcp(A.address);
  stream.open();
  stream.answer({ address: ADDRESS });
  await settle();
  assert.equal(replyOf(watched).transport, 'tcp');
});

test('max_concurrent: the excess is refused and counted', async () => {
  const { room, sockets, metrics } = rig();
  const group = room.group(groupOptions({ maxConcurrent: 1 }));
  watch(group.exchange(question(), 1_000));
  const excess = watch(group.exchange(question(), 1_000));
  await settle();
  assert.equal(errorOf(excess).rcode, RCODE.REFUSED);
  assert.equal(metrics.value('coredns_forward_max_concurrent_rejects_total'), 1);
  sockets.udp(A.address).answer({ address: ADDRESS });
  watch(group.exchange(question(), 1_000));
  assert.equal(sockets.udp(A.address).queries.length, 2);
});

test('queries of all groups together are bounded', async () => {
  const { room } = rig({ maxInFlight: 2 });
  watch(room.group(groupOptions()).exchange(question(), 1_000));
  watch(room.group(groupOptions({ targets: [B] })).exchange(question(), 1_000));
  const excess = watch(room.group(groupOptions()).exchange(question(), 1_000));
  await settle();
  assert.equal(errorOf(excess).rcode, RCODE.SERVFAIL);
  assert.equal(room.inFlight, 2);
});

test('no group takes the room of all others', async () => {
  const { room } = rig({ maxInFlight: 4 });
  const dead = room.group(groupOptions());
  for (let i = 0; i < 3; i++) watch(dead.exchange(question(), 1_000));
  const excess = watch(dead.exchange(question(), 1_000));
  const other = watch(room.group(groupOptions({ targets: [B] })).exchange(question(), 1_000));
  await settle();
  assert.equal(errorOf(excess).rcode, RCODE.SERVFAIL);
  assert.throws(() => errorOf(other), /still running/);
  assert.equal(room.inFlight, 4);
});

test('failover asks every upstream once, then the last answer stands', async () => {
  const { room, sockets } = rig();
  const failoverRcodes = [RCODE.SERVFAIL, RCODE.REFUSED];
  const group = room.group(groupOptions({ targets: [A, B], failoverRcodes }));
  const watched = watch(group.exchange(question(), 4_000));
  sockets.udp(A.address).answer({ rcode: RCODE.SERVFAIL });
  sockets.udp(B.address).answer({ rcode: RCODE.REFUSED });
  await settle();
  const { reply, upstream } = replyOf(watched);
  assert.deepEqual([reply.rcode, upstream], [RCODE.REFUSED, '192.0.2.2:53']);
});

test('without failover what the upstream says is the answer', async () => {
  const { room, sockets } = rig();
  const watched = watch(room.group(groupOptions({ targets: [A, B] })).exchange(question(), 4_000));
  sockets.udp(A.address).answer({ rcode: RCODE.SERVFAIL });
  await settle();
  assert.equal(replyOf(watched).reply.rcode, RCODE.SERVFAIL);
});

test('the deadline holds, whatever the number of attempts', async () => {
  const { room, clock } = rig();
  const group = room.group(groupOptions({ targets: [A, B], maxConnectAttempts: 1_000 }));
  const watched = watch(group.exchange(question(), 1_500));
  await clock.advance(1_480);
  assert.equal(watched.outcome, undefined);
  await clock.advance(40);
  assert.match(errorOf(watched).message, /ETIMEDOUT in (wait|connect) after \d+ ms/);
  assert.equal(room.inFlight, 0);
});

test('groups share an upstream; it is closed when the last lets go', async () => {
  const { room, sockets, clock } = rig();
  const [one, two] = [room.group(groupOptions()), room.group(groupOptions())];
  for (const group of [one, two]) {
    watch(group.exchange(question(), 1_000));
    sockets.udp(A.address).answer({ address: ADDRESS });
  }
  assert.equal(sockets.datagrams.length, 1);
  one.release();
  await clock.advance(10);
  assert.equal(sockets.datagrams[0]?.isClosed, false);
  two.release();
  assert.equal(sockets.datagrams[0]?.isClosed, true);
});

test('a released group answers what is under way and takes nothing new', async () => {
  const { room, sockets } = rig();
  const group = room.group(groupOptions());
  const before = watch(group.exchange(question(), 1_000));
  group.release();
  group.release();
  const after = watch(group.exchange(question(), 1_000));
  sockets.udp(A.address).answer({ address: ADDRESS });
  await settle();
  assert.equal(replyOf(before).reply.rcode, 0);
  assert.match(errorOf(after).message, /has ended/);
  assert.equal(sockets.datagrams[0]?.isClosed, true);
});

test('close fails what is in flight at once and leaves nothing behind', async () => {
  const { room, sockets, clock, metrics } = rig();
  const group = room.group(groupOptions({ targets: [A, B] }));
  const udp = watch(group.exchange(question(), 4_000));
  const tcp = watch(group.exchange(question({ clientTransport: 'tcp' }), 4_000));
  await room.close();
  await settle();
  for (const watched of [udp, tcp]) assert.match(errorOf(watched).message, /ECANCELED/);
  assert.equal(room.inFlight, 0);
  assert.equal(clock.pendingTimers, 0);
  assert.ok(sockets.datagrams.every(({ isClosed }) => isClosed));
  assert.ok(sockets.streams.every(({ state }) => state === 'destroyed'));
  assert.equal(metrics.value('nodens_upstream_connections', { transport: 'udp' }), 0);
});

test('every spelling of an address is one upstream', async () => {
  const { room, sockets } = rig();
  const spellings = ['2001:DB8:0::1', '2001:db8::1'];
  for (const address of spellings) {
    const group = room.group(groupOptions({ targets: [{ address, port: 53 }] }));
    const watched = watch(group.exchange(question(), 1_000));
    sockets.udp('2001:db8::1').answer({ address: ADDRESS });
    await settle();
    assert.equal(replyOf(watched).upstream, '[2001:db8::1]:53');
  }
  assert.equal(sockets.datagrams.length, 1);
});
