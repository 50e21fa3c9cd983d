import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GaveWayError } from '../../../agent/base/errors.ts';
import { EDE, RCODE } from '../../../agent/dns/iana.ts';
import { WAITING_QUERY_BYTES } from '../../../agent/upstream/exchange/plan.ts';
import { settle } from '../../support/fake-clock.ts';
import { ledgerWith } from '../../support/ledger.ts';
import {
  A,
  B,
  errorOf,
  fixture,
  groupOptions,
  question,
  replyOf,
  watch,
} from '../../support/upstream/fixture.ts';

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
    const { room, sockets } = fixture();
    watch(room.group(groupOptions(options)).exchange(question({ clientTransport }), 1_000));
    const used = sockets.streams.length > 0 ? 'tcp' : 'udp';
    assert.equal(used, expected, JSON.stringify([options, clientTransport]));
  }
});

test('an upstream that is unresponsive over the client’s transport is asked over the other', async () => {
  const { room, sockets, clock } = fixture();
  const watched = watch(room.group(groupOptions({ maxFails: 0 })).exchange(question(), 4_000));
  await clock.advance(1_100);
  const stream = sockets.tcp(A.address);
  stream.open();
  stream.answer({ address: ADDRESS });
  await settle();
  assert.equal(replyOf(watched).transport, 'tcp');
});

test('max_concurrent: the excess is refused and counted', async () => {
  const { room, sockets, metrics } = fixture();
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

const forQueries = (count: number) => ({ ledger: ledgerWith(count * WAITING_QUERY_BYTES) });

test('the client with the most waiting queries loses its oldest query first, across all groups', async () => {
  const { room, metrics } = fixture(forQueries(4));
  const [dead, other] = [room.group(groupOptions()), room.group(groupOptions({ upstreams: [B] }))];
  const flood = [dead, dead, other].map((group) =>
    watch(group.exchange(question({ clientKey: 'flood' }), 1_000)),
  );
  const quiet = ['a', 'b'].map((clientKey) => watch(dead.exchange(question({ clientKey }), 1_000)));
  await settle();
  const error = errorOf(flood[0] as (typeof flood)[0]);
  assert.deepEqual([error.rcode, error.extended?.code], [RCODE.SERVFAIL, EDE.OTHER]);
  assert.match(error.extended?.text ?? '', /gave way/);
  assert.equal(error.isLocal, true);
  for (const running of [flood[1], flood[2], ...quiet]) assert.equal(running?.outcome, undefined);
  assert.equal(room.inFlight, 4);
  assert.equal(metrics.value('nodens_upstream_failures_total'), 0, 'no upstream is to blame');
});

test('the client with the most waiting queries gets no more places, and keeps those it has', async () => {
  const { room, sockets } = fixture(forQueries(2));
  const group = room.group(groupOptions());
  const ask = () => watch(group.exchange(question({ clientKey: 'flood' }), 1_000));
  const waiting = [ask(), ask()];
  assert.throws(ask, GaveWayError);
  assert.equal(sockets.udp(A.address).queries.length, 2, 'a refused query is not sent');
  await settle();
  for (const { outcome } of waiting) assert.equal(outcome, undefined);
});

test('waiting for a dead upstream does not use up a client’s places for another upstream', async () => {
  const { room, sockets } = fixture(forQueries(4));
  const dead = room.group(groupOptions());
  const asks = Array.from({ length: 4 }, () => watch(dead.exchange(question(), 1_000)));
  const other = watch(room.group(groupOptions({ upstreams: [B] })).exchange(question(), 1_000));
  sockets.udp(B.address).answer({ address: ADDRESS });
  await settle();
  assert.equal(replyOf(other).reply.rcode, RCODE.NOERROR);
  assert.deepEqual(
    asks.map(({ outcome }) => outcome !== undefined),
    [true, false, false, false],
  );
});

test('a query that has ended holds no place', async () => {
  const { ledger } = forQueries(10);
  const { room, sockets, clock } = fixture({ ledger });
  const group = room.group(groupOptions());
  const answered = watch(group.exchange(question({ clientKey: 'a' }), 1_000));
  sockets.udp(A.address).answer({ address: ADDRESS });
  await settle();
  assert.equal(replyOf(answered).reply.rcode, RCODE.NOERROR);
  watch(group.exchange(question({ clientKey: 'a' }), 1_000));
  assert.equal(ledger.usedBytes, WAITING_QUERY_BYTES);
  await clock.advance(1_100);
  assert.equal(ledger.usedBytes, 0);
});

test('failover asks every upstream once, then the last answer stands', async () => {
  const { room, sockets } = fixture();
  const failoverRcodes = [RCODE.SERVFAIL, RCODE.REFUSED];
  const group = room.group(groupOptions({ upstreams: [A, B], failoverRcodes }));
  const watched = watch(group.exchange(question(), 4_000));
  sockets.udp(A.address).answer({ rcode: RCODE.SERVFAIL });
  sockets.udp(B.address).answer({ rcode: RCODE.REFUSED });
  assert.equal(sockets.udp(A.address).queries.length, 1);
  // The errors are not because of EDNS.
  sockets.udp(B.address).answer({ rcode: RCODE.REFUSED });
  await settle();
  const { reply, upstream } = replyOf(watched);
  assert.deepEqual([reply.rcode, upstream], [RCODE.REFUSED, '192.0.2.2:53']);
});

test('without failover the first reply is the answer', async () => {
  const { room, sockets } = fixture();
  const group = room.group(groupOptions({ upstreams: [A, B] }));
  watch(group.exchange(question(), 4_000));
  sockets.udp(A.address).answer({ address: ADDRESS });
  const watched = watch(group.exchange(question(), 4_000));
  sockets.udp(A.address).answer({ rcode: RCODE.SERVFAIL });
  await settle();
  assert.equal(replyOf(watched).reply.rcode, RCODE.SERVFAIL);
});

test('a query ends at its deadline, whatever the number of attempts', async () => {
  const { room, clock } = fixture();
  const group = room.group(groupOptions({ upstreams: [A, B], maxConnectAttempts: 1_000 }));
  const watched = watch(group.exchange(question(), 1_500));
  await clock.advance(1_480);
  assert.equal(watched.outcome, undefined);
  await clock.advance(40);
  assert.match(errorOf(watched).message, /ETIMEDOUT in (wait|connect) after \d+ ms/);
  assert.equal(room.inFlight, 0);
});

test('groups share an upstream; it is closed when the last group releases it', async () => {
  const { room, sockets, clock } = fixture();
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

test('a released group answers queries in flight and accepts no new ones', async () => {
  const { room, sockets } = fixture();
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

test('close fails what is in flight at once and leaves no socket and no timer', async () => {
  const { room, sockets, clock, metrics } = fixture();
  const group = room.group(groupOptions({ upstreams: [A, B] }));
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
  const { room, sockets } = fixture();
  const spellings = ['2001:DB8:0::1', '2001:db8::1'];
  for (const address of spellings) {
    const group = room.group(groupOptions({ upstreams: [{ address, port: 53 }] }));
    const watched = watch(group.exchange(question(), 1_000));
    sockets.udp('2001:db8::1').answer({ address: ADDRESS });
    await settle();
    assert.equal(replyOf(watched).upstream, '[2001:db8::1]:53');
  }
  assert.equal(sockets.datagrams.length, 1);
});
