/** Upstreams that reject EDNS answer all the same. Upstreams that are dead or return a true SERVFAIL get no more queries. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RCODE, TYPE } from '../../../../agent/dns/iana.ts';
import { nameFromText } from '../../../../agent/dns/name.ts';
import type { UpstreamGroup } from '../../../../agent/query/services/upstreams.ts';
import { settle } from '../../../support/fake-clock.ts';
import type { FakeDatagram } from '../../../support/upstream/fake-sockets.ts';
import {
  A,
  errorOf,
  type Fixture,
  fixture,
  groupOptions,
  question,
  replyOf,
  type Watched,
  watch,
} from '../../../support/upstream/fixture.ts';
import { bareReplyTo, type SeenQuery } from '../../../support/upstream/messages.ts';

const ADDRESS = [192, 0, 2, 80] as const;
const UDP = groupOptions({ preferUdp: true, maxFails: 0 });
const hasOpt = ({ head }: SeenQuery): boolean => head.hasOpt;

/** Answers the last query if it has no OPT, and replies `bad` if it has one. */
type Dislike = (socket: FakeDatagram, query: SeenQuery) => void;

const DISLIKES: readonly [string, Dislike][] = [
  ['SERVFAIL', (socket, query) => socket.answer({ rcode: RCODE.SERVFAIL }, query)],
  ['REFUSED', (socket, query) => socket.answer({ rcode: RCODE.REFUSED }, query)],
  ['an empty NOERROR', (socket, query) => socket.answer({}, query)],
  ['FORMERR', (socket, query) => socket.answer({ rcode: RCODE.FORMERR }, query)],
  ['NOTIMP', (socket, query) => socket.answer({ rcode: RCODE.NOTIMP }, query)],
  ['BADVERS', (socket, query) => socket.deliver(bareReplyTo(query, RCODE.BADVERS, true))],
];

const isOwn = ({ head }: SeenQuery): boolean => head.type === TYPE.NS;
const queriesOf = ({ sockets }: Fixture): SeenQuery[] =>
  sockets.datagrams.flatMap(({ queries }) => queries);
const clientsOf = (network: Fixture): SeenQuery[] =>
  queriesOf(network).filter((query) => !isOwn(query));

/**
 * Asks one question of an upstream that says `dislike` to an OPT, to questions of the agent's own as well; returns how
 * many of the client's queries that took.
 */
function ask(network: Fixture, group: UpstreamGroup, dislike: Dislike): [Watched, number] {
  const before = clientsOf(network).length;
  const watched = watch(group.exchange(question({ dnssecOk: true }), 4_000));
  const socket = network.sockets.udp(A.address);
  for (const [i, query] of socket.queries.entries()) {
    if (i < socket.queries.length - 1) continue;
    if (hasOpt(query)) dislike(socket, query);
    else socket.answer({ address: ADDRESS }, query);
  }
  return [watched, clientsOf(network).length - before];
}

for (const [what, dislike] of DISLIKES) {
  test(`${what} to EDNS: the agent asks without EDNS at once, and from then on`, async () => {
    const network = fixture();
    const group = network.room.group(UDP);
    for (const expected of [2, 1, 1]) {
      const [watched, sent] = ask(network, group, dislike);
      await settle();
      assert.equal(replyOf(watched).reply.records.length, 1);
      assert.equal(sent, expected);
    }
    const labels = { transport: 'udp', what: 'edns' };
    assert.equal(network.metrics.value('nodens_upstream_learned_total', labels), 1);
  });
}

test('queries with EDNS in flight at that moment are sent again without, too', async () => {
  const { room, sockets } = fixture();
  const group = room.group(UDP);
  const all = Array.from({ length: 300 }, () => watch(group.exchange(question(), 4_000)));
  const socket = sockets.udp(A.address);
  let done = socket.queries.length;
  for (const query of [...socket.queries]) {
    socket.answer({ rcode: RCODE.SERVFAIL }, query);
    for (; done < socket.queries.length; done++) {
      const next = socket.queries[done] as SeenQuery;
      socket.answer(hasOpt(next) ? { rcode: RCODE.SERVFAIL } : { address: ADDRESS }, next);
    }
  }
  await settle();
  for (const each of all) assert.equal(replyOf(each).reply.records.length, 1);
  assert.equal(socket.queries.length, 602);
});

test('where the upstream is known to support EDNS an error stands, until there are five in a row', async () => {
  const { room, sockets } = fixture();
  const group = room.group(UDP);
  watch(group.exchange(question(), 4_000));
  const socket = sockets.udp(A.address);
  socket.answer({ address: ADDRESS });
  for (let i = 0; i < 4; i++) {
    const watched = watch(group.exchange(question(), 4_000));
    socket.answer({ rcode: RCODE.SERVFAIL });
    await settle();
    assert.equal(replyOf(watched).reply.rcode, RCODE.SERVFAIL);
  }
  assert.deepEqual(socket.queries.map(hasOpt), [true, true, true, true, true]);
  const fifth = watch(group.exchange(question(), 4_000));
  socket.answer({ rcode: RCODE.SERVFAIL });
  socket.answer({ address: ADDRESS });
  await settle();
  assert.equal(replyOf(fifth).reply.records.length, 1);
});

test('an upstream with a true SERVFAIL gets three more queries a minute, and the client gets the first reply', async () => {
  const { room, sockets, clock } = fixture();
  const group = room.group(UDP);
  const askOften = async (): Promise<number> => {
    let sent = 0;
    for (let i = 0; i < 50; i++) {
      const name = nameFromText(`n${i}.example.`);
      const watched = watch(group.exchange(question({ name }), 4_000));
      const socket = sockets.udp(A.address);
      const first = socket.queries.length;
      socket.answer({ rcode: RCODE.SERVFAIL });
      if (socket.queries.length > first) socket.answer({ rcode: RCODE.REFUSED });
      sent += socket.queries.length - first + 1;
      await settle();
      assert.equal(replyOf(watched).reply.rcode, RCODE.SERVFAIL);
    }
    return sent;
  };
  assert.equal(await askOften(), 53);
  assert.equal(await askOften(), 50);
  await clock.advance(61_000);
  assert.equal(await askOften(), 53);
});

test('where the query without OPT gets no reply, the reply with OPT stands as soon as the other is late', async () => {
  const { room, sockets, clock } = fixture();
  const watched = watch(room.group(UDP).exchange(question(), 4_000));
  const socket = sockets.udp(A.address);
  socket.answer({ rcode: RCODE.REFUSED });
  assert.equal(socket.queries.length, 2);
  await clock.advance(250);
  assert.equal(replyOf(watched).reply.rcode, RCODE.REFUSED);
  assert.deepEqual([socket.queries.length, sockets.streams.length], [2, 0]);
});

test('a dropped query with OPT is sent without as soon as it is late, the next ones at once when our own question has shown the cause', async () => {
  const { room, sockets, clock } = fixture();
  const group = room.group({ ...UDP, maxFails: 2 });
  const watched = watch(group.exchange(question(), 4_000));
  await clock.advance(1_020);
  const socket = sockets.udp(A.address);
  const plain = socket.queries.find((query) => !hasOpt(query) && query.head.type !== TYPE.NS);
  assert.ok(plain, 'beside the next attempt, which goes over TCP');
  assert.equal(sockets.streams.length, 1);
  socket.answer({ address: ADDRESS }, plain);
  await settle();
  assert.deepEqual([replyOf(watched).reply.records.length, replyOf(watched).transport], [1, 'udp']);
  for (let ms = 0; ms < 3_000; ms += 100) {
    await clock.advance(100);
    for (const query of socket.queries)
      if (isOwn(query) && !hasOpt(query)) socket.answer({ address: ADDRESS }, query);
  }
  const next = watch(group.exchange(question(), 4_000));
  assert.equal(sockets.udp(A.address).queries.at(-1)?.head.hasOpt, false);
  sockets.udp(A.address).answer({ address: ADDRESS });
  await settle();
  assert.equal(replyOf(next).reply.records.length, 1);
});

test('a dead upstream costs no more time, and only a few more queries', async () => {
  const { room, sockets, clock } = fixture();
  const group = room.group(UDP);
  const sent = (): number => sockets.datagrams.flatMap(({ queries }) => queries).length;
  for (let i = 0; i < 50; i++) {
    const watched = watch(group.exchange(question(), 4_000));
    await clock.advance(3_980);
    assert.equal(watched.outcome, undefined);
    await clock.advance(40);
    assert.equal(errorOf(watched).rcode, RCODE.SERVFAIL);
  }
  // Two attempts each over UDP; three tries without OPT in each of the four minutes.
  assert.ok(sent() <= 100 + 4 * 3, `${sent()} queries`);
});

test('a dead upstream that returns without EDNS is used before the next minute', async () => {
  const network = fixture();
  const { room, sockets, clock } = network;
  const group = room.group({ ...UDP, maxConnectAttempts: 1 });
  for (let i = 0; i < 4; i++) {
    watch(group.exchange(question(), 4_000));
    await clock.advance(4_000);
  }
  const plain = (): SeenQuery | undefined =>
    sockets
      .udp(A.address)
      .queries.findLast((query) => !hasOpt(query) && query.head.type !== TYPE.NS);
  watch(group.exchange(question(), 4_000));
  await clock.advance(1_100);
  assert.equal(plain(), undefined, 'on a socket of its own');
  // As a probe of health would be.
  const health = room.group({ ...UDP, maxFails: 2, maxConnectAttempts: 1 });
  watch(health.exchange(question(), 1_050));
  await clock.advance(1_300);
  for (const socket of sockets.datagrams)
    for (const query of socket.queries)
      if (!socket.isClosed && query.head.type === TYPE.NS && !hasOpt(query))
        socket.answer({}, query);
  const watched = watch(group.exchange(question(), 4_000));
  await clock.advance(1_100);
  const query = plain();
  assert.ok(query);
  sockets.udp(A.address).answer({ address: ADDRESS }, query);
  await settle();
  assert.equal(replyOf(watched).reply.records.length, 1);
});

test('ten seconds later, and every ten minutes, the agent sends its own question with EDNS beside a query without', async () => {
  const network = fixture();
  const { room, clock, sockets } = network;
  const group = room.group(UDP);
  const [, dislike] = DISLIKES[0] as [string, Dislike];
  ask(network, group, dislike);
  const askAt = async (seconds: number): Promise<boolean[]> => {
    await clock.advance(seconds * 1_000);
    watch(group.exchange(question(), 4_000));
    const socket = sockets.udp(A.address);
    const [plain] = socket.queries.slice(-2).filter((query) => !hasOpt(query));
    socket.answer({ address: ADDRESS }, plain as SeenQuery);
    await settle();
    const { queries } = sockets.udp(A.address);
    return queries.map(hasOpt);
  };
  assert.deepEqual(await askAt(11), [false, true], 'the check is not answered');
  assert.deepEqual(await askAt(3), [false, true, false], 'so EDNS stays off, for longer');
  assert.deepEqual(await askAt(300), [false]);
  assert.deepEqual(await askAt(300), [false, true]);
  sockets.udp(A.address).answer({ address: ADDRESS });
  watch(group.exchange(question(), 4_000));
  assert.equal(sockets.udp(A.address).queries.at(-1)?.head.hasOpt, true, 'EDNS is supported again');
});

test('a check that is not answered keeps no socket, and ends with the upstream', async () => {
  const network = fixture();
  const { room, clock, sockets } = network;
  const group = room.group(UDP);
  const [, dislike] = DISLIKES[0] as [string, Dislike];
  ask(network, group, dislike);
  await clock.advance(11_000);
  const [watched] = ask(network, group, dislike);
  await clock.advance(20_000);
  assert.notEqual(watched.outcome, undefined);
  assert.deepEqual(
    sockets.datagrams.map(({ isClosed }) => isClosed),
    sockets.datagrams.map(() => true),
  );
  await clock.advance(600_000);
  ask(network, group, dislike);
  await room.close();
  assert.equal(clock.pendingTimers, 0);
});

test('a reply truncated without OPT is asked again over TCP without OPT', async () => {
  const { room, sockets } = fixture();
  const watched = watch(room.group(UDP).exchange(question(), 4_000));
  const socket = sockets.udp(A.address);
  socket.answer({ rcode: RCODE.SERVFAIL });
  socket.answer({ truncated: true });
  const stream = sockets.tcp(A.address);
  stream.open();
  assert.deepEqual(stream.queries.map(hasOpt), [false]);
  stream.answer({ address: ADDRESS });
  await settle();
  assert.equal(replyOf(watched).transport, 'tcp');
});

test('EDNS that is lost over UDP is still used over TCP', async () => {
  const network = fixture();
  const { room, sockets } = network;
  const [, dislike] = DISLIKES[0] as [string, Dislike];
  ask(network, room.group(UDP), dislike);
  watch(room.group({ ...UDP, preferUdp: false, forceTcp: true }).exchange(question(), 4_000));
  const stream = sockets.tcp(A.address);
  stream.open();
  assert.equal(stream.queries.at(-1)?.head.hasOpt, true);
});
