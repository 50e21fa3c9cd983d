/** A client's query only triggers the check: the agent's own question shows whether an upstream supports EDNS. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RCODE, TYPE } from '../../../../agent/dns/iana.ts';
import type { UpstreamGroup } from '../../../../agent/query/services/upstreams.ts';
import { settle } from '../../../support/fake-clock.ts';
import {
  A,
  type Fixture,
  fixture,
  groupOptions,
  question,
  replyOf,
  type Watched,
  watch,
} from '../../../support/upstream/fixture.ts';
import type { ReplyFields, SeenQuery } from '../../../support/upstream/messages.ts';

const ADDRESS = [192, 0, 2, 80] as const;
const UDP = groupOptions({ preferUdp: true, maxFails: 0 });
const hasOpt = ({ head }: SeenQuery): boolean => head.hasOpt;
const isOwn = ({ head }: SeenQuery): boolean => head.type === TYPE.NS;
const queriesOf = ({ sockets }: Fixture): SeenQuery[] =>
  sockets.datagrams.flatMap(({ queries }) => queries);
const clientsOf = (network: Fixture): SeenQuery[] =>
  queriesOf(network).filter((query) => !isOwn(query));
const ownOf = (network: Fixture): SeenQuery[] => queriesOf(network).filter(isOwn);

/** Asks a question to which the upstream says `toOpt` with an OPT, and an address without. */
function askZone(network: Fixture, group: UpstreamGroup, toOpt: ReplyFields): Watched {
  const watched = watch(group.exchange(question(), 4_000));
  const socket = network.sockets.udp(A.address);
  const query = clientsOf(network).at(-1) as SeenQuery;
  socket.answer(hasOpt(query) ? toOpt : { address: ADDRESS }, query);
  const again = clientsOf(network).at(-1) as SeenQuery;
  if (again !== query) socket.answer({ address: ADDRESS }, again);
  return watched;
}

const learned = ({ metrics }: Fixture): number =>
  metrics.value('nodens_upstream_learned_total', { transport: 'udp', what: 'edns' });

for (const [what, fields] of [
  ['an empty NOERROR', {}],
  ['SERVFAIL', { rcode: RCODE.SERVFAIL }],
  ['FORMERR', { rcode: RCODE.FORMERR }],
] as const) {
  test(`${what} to EDNS in one zone does not turn off EDNS for an upstream that supports it`, async () => {
    const network = fixture();
    const group = network.room.group(UDP);
    for (let i = 0; i < 40; i++) {
      const watched = askZone(network, group, fields);
      const socket = network.sockets.udp(A.address);
      const own = ownOf(network).at(-1);
      if (own !== undefined) socket.answer({ address: ADDRESS }, own);
      await settle();
      // An error stands while EDNS is not in doubt.
      if (i === 0) assert.equal(replyOf(watched).reply.records.length, 1);
      watch(group.exchange(question(), 4_000));
      const next = clientsOf(network).at(-1) as SeenQuery;
      assert.ok(hasOpt(next), 'queries of other clients have EDNS');
      if (i % 10 === 9) socket.answer({ address: ADDRESS }, next);
    }
    assert.deepEqual(ownOf(network).map(hasOpt), [true], 'it is asked once in ten seconds');
    assert.equal(learned(network), 0);
  });
}

test('silence to the first query of a zone does not turn off EDNS for an upstream that supports it', async () => {
  const network = fixture();
  const { room, sockets, clock } = network;
  const group = room.group({ ...UDP, maxConnectAttempts: 1 });
  const watched = watch(group.exchange(question(), 4_000));
  await clock.advance(1_020);
  const plain = clientsOf(network).at(-1) as SeenQuery;
  assert.equal(hasOpt(plain), false);
  sockets.udp(A.address).answer({ address: ADDRESS }, plain);
  assert.deepEqual(ownOf(network).map(hasOpt), [true]);
  sockets.udp(A.address).answer({ address: ADDRESS });
  await settle();
  assert.equal(replyOf(watched).reply.records.length, 1);
  watch(group.exchange(question(), 4_000));
  assert.ok(hasOpt(clientsOf(network).at(-1) as SeenQuery));
  assert.equal(learned(network), 0);
});

test('nothing is learned where our own question has no better answer without OPT', async () => {
  for (const fields of [{ rcode: RCODE.SERVFAIL }, undefined]) {
    const network = fixture();
    const { room, sockets, clock } = network;
    const group = room.group(UDP);
    askZone(network, group, {});
    const socket = sockets.udp(A.address);
    if (fields !== undefined) for (let i = 0; i < 2; i++) socket.answer(fields);
    await clock.advance(4_100);
    assert.deepEqual(ownOf(network).map(hasOpt), [true, false]);
    watch(group.exchange(question(), 4_000));
    assert.ok(hasOpt(clientsOf(network).at(-1) as SeenQuery));
    assert.equal(learned(network), 0);
  }
});

test('silence to our own question on a connection that has answered some does not count against EDNS', async () => {
  const network = fixture();
  const { room, sockets, clock } = network;
  const group = room.group({ ...UDP, preferUdp: false, forceTcp: true });
  const asked = (): Promise<unknown> => group.exchange(question(), 4_000).catch(() => undefined);
  void asked();
  const stream = sockets.tcp(A.address);
  stream.open();
  stream.answer({ address: ADDRESS });
  for (let i = 0; i < 5; i++) {
    void asked();
    await settle();
    stream.answer({ rcode: RCODE.SERVFAIL });
  }
  await settle();
  assert.equal(stream.queries.at(-1)?.head.hasOpt, false);
  stream.answer({ address: ADDRESS });
  await settle();
  assert.deepEqual(stream.queries.filter(isOwn).map(hasOpt), [true]);
  await clock.advance(4_100);
  assert.equal(sockets.streams.length, 1, 'no connection is opened to ask without EDNS');
  assert.deepEqual(stream.queries.filter(isOwn).map(hasOpt), [true]);
});

test('an upstream that refuses EDNS and cannot answer our own question is checked with that question, too', async () => {
  const network = fixture();
  const { room, sockets, clock } = network;
  const group = room.group(UDP);
  askZone(network, group, { rcode: RCODE.FORMERR });
  const answer = (rcode: number): void => {
    const own = ownOf(network).at(-1) as SeenQuery;
    sockets.udp(A.address).answer({ rcode }, own);
  };
  answer(RCODE.FORMERR);
  answer(RCODE.SERVFAIL);
  assert.equal(learned(network), 1);
  await clock.advance(11_000);
  askZone(network, group, {});
  await clock.advance(3_000);
  askZone(network, group, {});
  assert.equal(hasOpt(clientsOf(network).at(-1) as SeenQuery), false, 'silence is no answer');
  await clock.advance(600_000);
  askZone(network, group, {});
  answer(RCODE.SERVFAIL);
  watch(group.exchange(question(), 4_000));
  assert.ok(hasOpt(clientsOf(network).at(-1) as SeenQuery), 'EDNS is supported again');
});
