import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RCODE, TYPE } from '../../../../agent/dns/iana.ts';
import { nameFromText } from '../../../../agent/dns/name.ts';
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
import { replyTo, type SeenQuery } from '../../../support/upstream/messages.ts';

const ADDRESS = [192, 0, 2, 80] as const;
const UDP_PAIR = groupOptions({ preferUdp: true, upstreams: [A, B] });

const probes = (sockets: FakeSockets, address: string): SeenQuery[] =>
  sockets.datagrams
    .filter(({ to }) => to.address === address)
    .flatMap(({ queries }) => queries.filter(({ head }) => head.type === TYPE.NS));

const states = ({ room }: Fixture): string[] => room.summary().map(({ state }) => state);

test('three failed probes take an upstream out of use, one good answer brings it back', async () => {
  const network = fixture();
  const { room, sockets, clock, metrics, log } = network;
  const group = room.group(UDP_PAIR);
  watch(group.exchange(question(), 4_000));
  await clock.advance(1_100);
  assert.deepEqual(states(network), ['suspect', 'up']);
  sockets.udp(B.address).answer({ address: ADDRESS });
  await clock.advance(4_000);
  assert.deepEqual(states(network), ['down', 'up']);
  const labels = { proxy_name: 'forward', to: '192.0.2.1:53' };
  assert.ok(metrics.value('coredns_proxy_healthcheck_failures_total', labels) >= 3);
  const before = probes(sockets, A.address).length;
  await clock.advance(3_000);
  const perSecond = (probes(sockets, A.address).length - before) / 3;
  assert.ok(perSecond > 1 && perSecond <= 3, `${perSecond} probes a second`);
  for (let i = 0; i < 20 && states(network)[0] === 'down'; i++) {
    await clock.advance(100);
    const socket = sockets.udp(A.address);
    if (socket.queries.length > 0) socket.answer({});
  }
  assert.deepEqual(states(network), ['up', 'up']);
  const said = log.records.map(({ message }) => message);
  assert.deepEqual(said, [
    'upstream 192.0.2.1:53 is down: queries avoid it, probes continue',
    'upstream 192.0.2.1:53 answers again',
  ]);
});

test('the probe asks the name of health_check, over TCP with force_tcp', async () => {
  const { room, sockets, clock } = fixture();
  const healthCheck = {
    intervalMs: 500,
    recursionDesired: false,
    domain: nameFromText('up.example.'),
  };
  const group = room.group(groupOptions({ forceTcp: true, healthCheck }));
  watch(group.exchange(question(), 4_000));
  // One more dial is free.
  sockets.tcp(A.address).close('ECONNREFUSED');
  sockets.tcp(A.address).close('ECONNREFUSED');
  await clock.advance(10);
  const stream = sockets.tcp(A.address);
  stream.open();
  const probe = stream.queries.find(({ head }) => head.type === TYPE.NS);
  assert.equal((probe?.head.flags ?? -1) & 0x0100, 0);
  assert.deepEqual(probe?.head.name.slice(0, probe.head.nameLength), healthCheck.domain);
});

test('garbage and the wrong question do not count as health', async () => {
  const network = fixture();
  const { room, sockets, clock } = network;
  watch(room.group(UDP_PAIR).exchange(question(), 1_000));
  for (let i = 0; i < 60; i++) {
    await clock.advance(100);
    const socket = sockets.udp(A.address);
    const query = socket.queries.at(-1) as SeenQuery;
    socket.deliver(replyTo(query, { type: TYPE.TXT }));
    socket.deliver(Buffer.from('no name server at all'));
  }
  assert.deepEqual(states(network), ['down', 'up']);
});

test('two lost queries are not an outage, however far apart; three are', async () => {
  const network = fixture();
  const { room, clock } = network;
  const healthCheck = { ...UDP_PAIR.healthCheck, intervalMs: 60_000 };
  const group = room.group(groupOptions({ maxConnectAttempts: 1, healthCheck }));
  for (const expected of ['suspect', 'suspect', 'down']) {
    watch(group.exchange(question(), 1_500));
    await clock.advance(1_600);
    assert.deepEqual(states(network), [expected]);
  }
});

test('after silence any answer to the probe is sufficient', async () => {
  const network = fixture();
  const { room, sockets, clock } = network;
  watch(room.group(groupOptions({ preferUdp: true })).exchange(question(), 1_000));
  await clock.advance(1_010);
  assert.deepEqual(states(network), ['suspect']);
  sockets.udp(A.address).answer({ rcode: RCODE.SERVFAIL });
  assert.deepEqual(states(network), ['up']);
});

/** Takes every upstream of a group down. */
async function blackout(
  network: Fixture,
  group: ReturnType<Fixture['room']['group']>,
): Promise<void> {
  watch(group.exchange(question(), 4_000));
  await network.clock.advance(12_000);
}

test('however many queries fail, one probe at a time is in flight', async () => {
  const { room, sockets, clock } = fixture();
  const group = room.group(UDP_PAIR);
  for (let i = 0; i < 20; i++) watch(group.exchange(question(), 4_000));
  await clock.advance(1_350);
  assert.equal(probes(sockets, A.address).length, 1);
});

test('with all upstreams down no client waits and the agent sends only probes', async () => {
  const network = fixture({ random: () => 0.5 });
  const { room, sockets, clock, metrics } = network;
  const group = room.group(UDP_PAIR);
  await blackout(network, group);
  assert.deepEqual(states(network), ['down', 'down']);
  const before = sockets.datagrams.flatMap(({ queries }) => queries).length;
  for (let i = 0; i < 100; i++) {
    const watched = watch(group.exchange(question(), 2_000));
    await settle();
    const { rcode, extended, message } = errorOf(watched);
    assert.deepEqual([rcode, extended?.code], [RCODE.SERVFAIL, 22]);
    assert.match(message, /every upstream is down: 192\.0\.2\.1:53, 192\.0\.2\.2:53/);
    await clock.advance(100);
  }
  const sent = sockets.datagrams.flatMap(({ queries }) => queries).slice(before);
  assert.ok(sent.every(({ head }) => head.type === TYPE.NS));
  assert.ok(sent.length >= 30 && sent.length <= 60, `${sent.length} in 10 s to two upstreams`);
  assert.equal(metrics.value('coredns_forward_healthcheck_broken_total'), 100);
  assert.equal(metrics.value('nodens_upstream_state', { to: '192.0.2.1:53', state: 'down' }), 1);
});

test('an upstream that refuses connections is reported as a network error', async () => {
  const network = fixture();
  const { room, sockets, clock } = network;
  const group = room.group(groupOptions({ forceTcp: true, maxFails: 0, maxConnectAttempts: 1 }));
  const watched = watch(group.exchange(question(), 2_000));
  while (watched.outcome === undefined) {
    sockets.tcp(A.address).close('ECONNREFUSED');
    await clock.advance(10);
  }
  assert.equal(errorOf(watched).extended?.code, 23);
});

test('once all upstreams are known to be down, waiting queries fail at once', async () => {
  const network = fixture();
  const { room, sockets, clock } = network;
  const group = room.group(groupOptions({ preferUdp: true }));
  watch(group.exchange(question(), 4_000));
  sockets.udp(A.address).answer({ address: ADDRESS });
  const watched = watch(group.exchange(question(), 4_000));
  await clock.advance(2_000);
  assert.equal(errorOf(watched).extended?.code, 22);
});

test('a slow name is waited for while the upstream answers probes', async () => {
  const network = fixture();
  const { room, sockets, clock } = network;
  const group = room.group(groupOptions({ preferUdp: true }));
  watch(group.exchange(question(), 4_000));
  sockets.udp(A.address).answer({ address: ADDRESS });
  const slow = watch(group.exchange(question(), 4_000));
  const query = sockets.udp(A.address).queries.at(-1) as SeenQuery;
  for (let i = 0; i < 30; i++) {
    await clock.advance(100);
    const probe = probes(sockets, A.address).at(-1);
    if (probe !== undefined) sockets.udp(A.address).answer({}, probe);
  }
  assert.equal(slow.outcome, undefined);
  sockets.udp(A.address).answer({ address: ADDRESS }, query);
  await settle();
  assert.equal(replyOf(slow).reply.rcode, 0);
});

test('the first query after an upstream came back is answered within a second', async () => {
  for (const forceTcp of [false, true]) {
    const network = fixture({ random: () => 0.99 });
    const { room, sockets, clock } = network;
    const group = room.group(groupOptions({ forceTcp, preferUdp: true }));
    await blackout(network, group);
    assert.deepEqual(states(network), ['down']);
    await clock.advance(333);
    let waitedMs = 0;
    for (; states(network)[0] !== 'up'; waitedMs += 10) {
      // Queries sent before the return are lost.
      const count = sockets.datagrams.flatMap(({ queries }) => queries).length;
      const dialled = sockets.streams.length;
      await clock.advance(10);
      if (sockets.streams.length > dialled) {
        sockets.tcp(A.address).open();
        sockets.tcp(A.address).answer({});
      } else if (sockets.datagrams.flatMap(({ queries }) => queries).length > count) {
        sockets.udp(A.address).answer({});
      }
    }
    assert.ok(waitedMs <= 1_000, `${waitedMs} ms, force_tcp ${forceTcp}`);
  }
});

test('max_fails 0: no probes, never down', async () => {
  const network = fixture();
  const group = network.room.group({ ...UDP_PAIR, maxFails: 0 });
  await blackout(network, group);
  assert.deepEqual(states(network), ['up', 'up']);
  assert.equal(probes(network.sockets, A.address).length, 0);
});

test('releasing a group ends its probes', async () => {
  const network = fixture();
  const group = network.room.group(UDP_PAIR);
  await blackout(network, group);
  group.release();
  assert.deepEqual(states(network), []);
  await network.clock.advance(100);
  assert.equal(network.clock.pendingTimers, 0);
  assert.ok(network.sockets.datagrams.every(({ isClosed }) => isClosed));
});

test('a failed upstream is behind the others until it answers', async () => {
  const { room, sockets, clock } = fixture();
  const group = room.group(UDP_PAIR);
  watch(group.exchange(question(), 4_000));
  await clock.advance(1_010);
  sockets.udp(B.address).answer({ address: ADDRESS });
  const next = watch(group.exchange(question(), 4_000));
  sockets.udp(B.address).answer({ address: ADDRESS });
  await settle();
  assert.equal(replyOf(next).upstream, '192.0.2.2:53');
});

test('what is known about an upstream outlives a reload', async () => {
  const network = fixture();
  const before = network.room.group(UDP_PAIR);
  await blackout(network, before);
  const after = network.room.group(UDP_PAIR);
  before.release();
  assert.deepEqual(states(network), ['down', 'down']);
  after.release();
  network.room.group(UDP_PAIR);
  assert.deepEqual(states(network), ['up', 'up'], 'the old state is not remembered');
});

test('an upstream whose replies usually take 100 ms is slow, until they do not', async () => {
  const network = fixture();
  const { room, sockets, clock, metrics } = network;
  const group = room.group(groupOptions({ preferUdp: true, upstreams: [A] }));
  const slow = () => metrics.value('nodens_upstream_state', { to: '192.0.2.1:53', state: 'slow' });
  const up = () => metrics.value('nodens_upstream_state', { to: '192.0.2.1:53', state: 'up' });
  const exchange = async (durationMs: number): Promise<void> => {
    watch(group.exchange(question(), 4_000));
    await settle();
    await clock.advance(durationMs);
    sockets.udp(A.address).answer({ address: ADDRESS });
    await settle();
  };
  for (let reply = 1; reply < 8; reply++) {
    await exchange(120);
    assert.deepEqual(states(network), ['up'], `${reply} replies are no habit`);
  }
  await exchange(120);
  assert.deepEqual([states(network), slow(), up()], [['slow'], 1, 0]);
  for (let reply = 0; reply < 8; reply++) await exchange(1);
  assert.deepEqual([states(network), slow(), up()], [['up'], 0, 1]);
});
