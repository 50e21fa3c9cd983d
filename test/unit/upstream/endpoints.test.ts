import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildResponse, type NewRecord } from '../../../agent/dns/build.ts';
import { FLAG, putU16 } from '../../../agent/dns/header.ts';
import { RCODE, TYPE } from '../../../agent/dns/iana.ts';
import { nameFromText } from '../../../agent/dns/name.ts';
import type { UpstreamGroup } from '../../../agent/query/services/upstreams.ts';
import { settle } from '../../support/fake-clock.ts';
import {
  A,
  type Fixture,
  fixture,
  groupOptions,
  question,
  replyOf,
  watch,
} from '../../support/upstream/fixture.ts';
import type { SeenQuery } from '../../support/upstream/messages.ts';

const ADDRESS = [192, 0, 2, 80] as const;
const NAME = 'dns-pods.kube-system.svc.cluster.local.';
const TO_A = '192.0.2.1:53';

interface Said {
  readonly rcode?: number;
  readonly answer?: readonly NewRecord[];
  readonly additional?: readonly NewRecord[];
}

const made = new WeakSet<SeenQuery>();

/** Waits until the upstream is asked for endpoints again, and answers. */
async function report(
  { sockets, clock }: Fixture,
  said: Said,
  type: number = TYPE.A,
): Promise<void> {
  for (let waitedMs = 0; waitedMs < 60_000; waitedMs += 20) {
    await clock.advance(20);
    for (const socket of sockets.datagrams.filter(({ to }) => to.address === A.address)) {
      const query = socket.queries.find((seen) => isLook(seen) && !made.has(seen));
      if (query === undefined) continue;
      made.add(query);
      const { head, message } = query;
      assert.equal(head.type, type);
      const asked = { name: head.name.slice(0, head.nameLength), type, class: 1 };
      const { rcode = RCODE.NOERROR, ...sections } = said;
      const wire = buildResponse(asked, { rcode, flags: FLAG.RA, ...sections });
      putU16(wire, 0, message.readUInt16BE(0));
      socket.deliver(wire);
      await settle();
      return;
    }
  }
  assert.fail('no upstream was asked');
}

const isLook = ({ head }: SeenQuery): boolean =>
  Buffer.from(head.name).includes('dns-pods') && head.type !== TYPE.NS;

const address = (last: number): NewRecord => ({
  type: TYPE.A,
  ttlSeconds: 30,
  rdata: Uint8Array.of(10, 244, 0, last),
});

/** The upstreams of the next `count` queries, each answered at once. */
async function askedOf(
  { sockets }: Fixture,
  group: UpstreamGroup,
  count: number,
): Promise<string[]> {
  const upstreams: string[] = [];
  for (let i = 0; i < count; i++) {
    const watched = watch(group.exchange(question(), 4_000));
    for (const socket of sockets.datagrams) {
      const query = socket.queries.at(-1);
      if (query !== undefined && watched.outcome === undefined) socket.answer({ address: ADDRESS });
      await settle();
    }
    upstreams.push(replyOf(watched).upstream);
  }
  return upstreams;
}

const fixtureWith = (name = NAME): { network: Fixture; group: UpstreamGroup } => {
  const network = fixture({ random: () => 0 });
  return {
    network,
    group: network.room.group(groupOptions({ endpointsName: nameFromText(name) })),
  };
};

test('the addresses behind a name get queries in turn', async () => {
  const { network, group } = fixtureWith();
  await report(network, { answer: [address(1), address(2), address(3)] });
  const asked = await askedOf(network, group, 6);
  const expected = ['10.244.0.2:53', '10.244.0.3:53', '10.244.0.1:53'];
  assert.deepEqual(asked, [...expected, ...expected]);
  const known = network.metrics.value('nodens_upstream_endpoints', { name: NAME });
  assert.equal(known, 3);
  await report(network, { answer: [address(2), address(3), address(1)] });
  const made = network.log.records.filter(({ message }) => message.includes('endpoints behind'));
  assert.equal(made.length, 1, 'the same list again changes nothing');
});

test('until a list is known, and where the name has none, the upstream itself gets the queries', async () => {
  const { network, group } = fixtureWith();
  assert.deepEqual(await askedOf(network, group, 1), [TO_A]);
  await report(network, { rcode: RCODE.NXDOMAIN });
  assert.deepEqual(await askedOf(network, group, 2), [TO_A, TO_A]);
});

test('the last list is kept after failed look-ups, and a new one replaces it', async () => {
  const { network, group } = fixtureWith();
  await report(network, { answer: [address(1)] });
  for (const said of [{ rcode: RCODE.NXDOMAIN }, { rcode: RCODE.SERVFAIL }, { answer: [] }]) {
    await report(network, said);
    assert.deepEqual(await askedOf(network, group, 1), ['10.244.0.1:53']);
  }
  await report(network, { answer: [address(7)] });
  assert.deepEqual(await askedOf(network, group, 1), ['10.244.0.7:53']);
});

test('queries sent to a removed endpoint are still waited for', async () => {
  const { network, group } = fixtureWith();
  await report(network, { answer: [address(1)] });
  await network.clock.advance(22_000);
  const waiting = watch(group.exchange(question(), 4_000));
  const old = network.sockets.udp('10.244.0.1');
  await report(network, { answer: [address(2)] });
  old.answer({ address: ADDRESS });
  await settle();
  assert.equal(replyOf(waiting).upstream, '10.244.0.1:53');
  await network.clock.advance(41_000);
  assert.equal(old.isClosed, true);
});

test('SRV records name ports and, with their addresses, endpoints; others are left out', async () => {
  const { network, group } = fixtureWith(`_dns._udp.${NAME}`);
  const service = (port: number, upstream: string): NewRecord => ({
    type: TYPE.SRV,
    ttlSeconds: 30,
    rdata: Buffer.concat([
      Buffer.from([0, 0, 0, 10, port >> 8, port & 0xff]),
      nameFromText(upstream),
    ]),
  });
  await report(
    network,
    {
      answer: [service(1053, 'a.pods.local.'), service(1054, 'gone.pods.local.')],
      additional: [
        { ...address(9), name: nameFromText('a.pods.local.') },
        { ...address(8), name: nameFromText('b.pods.local.') },
      ],
    },
    TYPE.SRV,
  );
  assert.deepEqual(await askedOf(network, group, 2), ['10.244.0.9:1053', '10.244.0.9:1053']);
});

test('an endpoint that does not answer is skipped; with all of them down the upstream itself gets the queries', async () => {
  const { network, group } = fixtureWith();
  const { clock, room } = network;
  await report(network, { answer: [address(1), address(2)] });
  watch(group.exchange(question(), 4_000));
  await clock.advance(4_000);
  const states = Object.fromEntries(room.summary().map(({ to, state }) => [to, state]));
  assert.notEqual(states['10.244.0.1:53'], 'up');
  await clock.advance(10_000);
  const down = room.summary().filter(({ state }) => state === 'down');
  assert.deepEqual(down.map(({ to }) => to).sort(), ['10.244.0.1:53', '10.244.0.2:53', TO_A]);
});

test('releasing the group releases endpoints and stops look-ups', async () => {
  const { network, group } = fixtureWith();
  await report(network, { answer: [address(1), address(2)] });
  await askedOf(network, group, 2);
  group.release();
  await network.clock.advance(60_000);
  assert.ok(network.sockets.datagrams.every(({ isClosed }) => isClosed));
  assert.equal(network.clock.pendingTimers, 0);
});
