/** What an error reply to the probe means: more where the upstream has answered the probe before. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RCODE, TYPE } from '../../../../agent/dns/iana.ts';
import { nameFromText } from '../../../../agent/dns/name.ts';
import type { UpstreamGroup } from '../../../../agent/query/services/upstreams.ts';
import { settle } from '../../../support/fake-clock.ts';
import type { FakeSockets } from '../../../support/upstream/fake-sockets.ts';
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
import type { SeenQuery } from '../../../support/upstream/messages.ts';

const ADDRESS = [192, 0, 2, 80] as const;
const UDP_PAIR = groupOptions({ preferUdp: true, upstreams: [A, B] });

const probes = (sockets: FakeSockets, address: string): SeenQuery[] =>
  sockets.datagrams
    .filter(({ to }) => to.address === address)
    .flatMap(({ queries }) => queries.filter(({ head }) => head.type === TYPE.NS));

const states = ({ room }: Fixture): string[] => room.summary().map(({ state }) => state);

/** Has the upstream answer a client's query well. */
function serve({ sockets }: Fixture, group: UpstreamGroup): void {
  watch(group.exchange(question(), 4_000));
  sockets.udp(A.address).answer({ address: ADDRESS });
}

/** Has the upstream answer the probe. */
async function know(network: Fixture, group: UpstreamGroup): Promise<void> {
  serve(network, group);
  await network.clock.advance(2_100);
  serve(network, group);
  network.sockets.udp(A.address).answer({}, probes(network.sockets, A.address).at(-1));
}

/** Asks for `count` names that all end in SERVFAIL. */
function breakNames(
  { sockets }: Fixture,
  group: UpstreamGroup,
  count: number,
  isOne = false,
): void {
  for (let i = 0; i < count; i++) {
    const name = nameFromText(isOne ? 'broken.example.' : `broken${i}.example.`);
    watch(group.exchange(question({ name }), 1_000));
    const socket = sockets.udp(A.address);
    const asked = socket.queries.length;
    socket.answer({ rcode: RCODE.SERVFAIL });
    // The same without OPT, while the upstream may not support EDNS.
    if (socket.queries.length > asked) socket.answer({ rcode: RCODE.SERVFAIL });
  }
}

test('one probe in good times shows the normal answer to it, and an unanswered one is no fault', async () => {
  const network = fixture();
  const { room, sockets, clock } = network;
  const group = room.group(UDP_PAIR);
  serve(network, group);
  await clock.advance(20_000);
  assert.equal(probes(sockets, A.address).length, 0, 'no client has asked since');
  serve(network, group);
  assert.equal(probes(sockets, A.address).length, 1);
  await clock.advance(10_000);
  assert.deepEqual(states(network), ['up', 'up']);
  serve(network, group);
  assert.equal(probes(sockets, A.address).length, 1);
  await clock.advance(21_000);
  serve(network, group);
  assert.equal(probes(sockets, A.address).length, 2);
  sockets.udp(A.address).answer({});
  for (let i = 0; i < 30; i++) {
    await clock.advance(60_000);
    serve(network, group);
  }
  assert.equal(probes(sockets, A.address).length, 2);
});

test('an upstream that has not answered the probe yet is not down for broken names', async () => {
  const network = fixture();
  const group = network.room.group(groupOptions({ preferUdp: true }));
  breakNames(network, group, 12);
  for (let i = 0; i < 50; i++) {
    network.sockets.udp(A.address).answer({ rcode: RCODE.SERVFAIL });
    await network.clock.advance(100);
    assert.deepEqual(states(network), ['suspect']);
  }
});

test('an upstream that never answers the probe is not down for one client’s broken names', async () => {
  const network = fixture();
  const { room, sockets, clock } = network;
  const group = room.group(groupOptions({ preferUdp: true }));
  const sayToProbes = async (rcode: number, seconds: number): Promise<void> => {
    for (let i = 0; i < seconds * 10; i++) {
      const socket = sockets.udp(A.address);
      const probe = socket.queries.at(-1);
      if (probe?.head.type === TYPE.NS) socket.answer({ rcode }, probe);
      assert.notEqual(states(network)[0], 'down');
      await clock.advance(100);
    }
  };
  serve(network, group);
  await clock.advance(2_100);
  serve(network, group);
  await sayToProbes(RCODE.SERVFAIL, 1);
  assert.equal(probes(sockets, A.address).length, 1);
  breakNames(network, group, 12);
  await sayToProbes(RCODE.SERVFAIL, 5);
  assert.deepEqual(states(network), ['suspect'], 'its errors are not final');
  const watched = watch(group.exchange(question(), 1_000));
  sockets.udp(A.address).answer({ address: ADDRESS });
  await settle();
  assert.equal(replyOf(watched).reply.rcode, RCODE.NOERROR);
  assert.deepEqual(states(network), ['up']);
  // From then on it answers for the root.
  await clock.advance(601_000);
  serve(network, group);
  sockets.udp(A.address).answer({}, probes(sockets, A.address).at(-1));
  breakNames(network, group, 12);
  for (let i = 0; i < 30; i++) {
    sockets.udp(A.address).answer({ rcode: RCODE.SERVFAIL });
    await clock.advance(100);
  }
  assert.deepEqual(states(network), ['down'], 'SERVFAIL to everything');
});

test('SERVFAIL to every query is a fault, SERVFAIL to the probe or to one name is none', async () => {
  const network = fixture();
  const { room, sockets, clock } = network;
  const group = room.group(groupOptions({ preferUdp: true }));
  await know(network, group);
  breakNames(network, group, 30, true);
  breakNames(network, group, 8);
  watch(group.exchange(question(), 1_000));
  sockets.udp(A.address).answer({ rcode: RCODE.NXDOMAIN });
  assert.deepEqual(states(network), ['up']);
  breakNames(network, group, 10);
  assert.deepEqual(states(network), ['suspect']);
  for (let i = 0; i < 20; i++) {
    sockets.udp(A.address).answer({ rcode: RCODE.SERVFAIL });
    await clock.advance(100);
  }
  assert.deepEqual(states(network), ['down']);
  await clock.advance(1_000);
  const trial = watch(group.exchange(question(), 1_000));
  const second = watch(group.exchange(question(), 1_000));
  await settle();
  assert.equal(errorOf(second).extended?.code, 22, 'one query in an interval is let through');
  sockets.udp(A.address).answer({ address: ADDRESS });
  await settle();
  assert.equal(replyOf(trial).reply.rcode, 0);
  assert.deepEqual(states(network), ['up'], 'a real answer counts more than a probe');
});

test('an error of a suspect upstream is not final where there is another upstream', async () => {
  const network = fixture();
  const { room, sockets } = network;
  const group = room.group({ ...UDP_PAIR, policy: 'sequential' });
  breakNames(network, group, 9);
  const watched = watch(group.exchange(question(), 1_000));
  sockets.udp(A.address).answer({ rcode: RCODE.SERVFAIL });
  sockets.udp(B.address).answer({ address: ADDRESS });
  await settle();
  assert.equal(replyOf(watched).upstream, '192.0.2.2:53');
});

test('while EDNS is in doubt every second probe has none: an upstream that drops it is not down', async () => {
  const { room, sockets, clock, metrics } = fixture();
  const group = room.group(groupOptions({ preferUdp: true, maxConnectAttempts: 1 }));
  watch(group.exchange(question(), 1_050));
  for (let ms = 0; ms < 5_000; ms += 100) {
    await clock.advance(100);
    for (const socket of sockets.datagrams) {
      const probe = socket.queries.findLast(({ head }) => head.type === TYPE.NS);
      if (probe !== undefined && !probe.head.hasOpt && !socket.isClosed) socket.answer({}, probe);
    }
    assert.equal(metrics.value('nodens_upstream_state', { state: 'down' }), 0);
  }
});
