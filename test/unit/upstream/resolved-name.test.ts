/** Upstreams given by name: which server resolves them, when, and what is used meanwhile. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildResponse, type NewRecord } from '../../../agent/dns/build.ts';
import { FLAG, putU16 } from '../../../agent/dns/header.ts';
import { RCODE, TYPE } from '../../../agent/dns/iana.ts';
import { nameFromText } from '../../../agent/dns/name.ts';
import type {
  UpstreamGroup,
  UpstreamGroupOptions,
} from '../../../agent/query/services/upstreams.ts';
import { settle } from '../../support/fake-clock.ts';
import {
  A,
  errorOf,
  type Fixture,
  fixture,
  groupOptions,
  question,
  replyOf,
  watch,
} from '../../support/upstream/fixture.ts';
import type { SeenQuery } from '../../support/upstream/messages.ts';

const RESOLVER = { address: '192.0.2.53', port: 53 };
const ADDRESS = [192, 0, 2, 80] as const;
const HOST = { name: nameFromText('ns.corp.example'), port: 53 };

const v4 = (last: number, ttlSeconds = 30): NewRecord => ({
  ...{ type: TYPE.A, ttlSeconds },
  rdata: Uint8Array.of(10, 1, 0, last),
});
const v6 = (last: number): NewRecord => ({
  ...{ type: TYPE.AAAA, ttlSeconds: 30 },
  rdata: Uint8Array.from({ length: 16 }, (_, at) => (at === 0 ? 0xfd : at === 15 ? last : 0)),
});

/** The resolver's reply for each type; undefined: no reply. */
type Said = Partial<Record<'A' | 'AAAA', readonly NewRecord[] | number>>;
const EMPTY: Said = { A: [], AAAA: [] };

const made = new WeakSet<SeenQuery>();

/** Unanswered queries for the name. */
function looks({ sockets }: Fixture): { query: SeenQuery; deliver: (wire: Buffer) => void }[] {
  return sockets.datagrams
    .filter(({ to }) => to.address === RESOLVER.address)
    .flatMap((socket) =>
      socket.queries
        .filter((query) => !made.has(query))
        .map((query) => ({ query, deliver: (wire: Buffer) => socket.deliver(wire) })),
    );
}

/** Waits until the name is looked up again, and answers; returns the wait in milliseconds. */
async function say(network: Fixture, said: Said, withinMs = 60_000): Promise<number> {
  for (let waitedMs = 0; waitedMs <= withinMs; waitedMs += 20) {
    const found = looks(network);
    if (found.length < 2) {
      await network.clock.advance(20);
      continue;
    }
    for (const { query, deliver } of found) {
      made.add(query);
      const { head, message } = query;
      const what = said[head.type === TYPE.A ? 'A' : 'AAAA'];
      if (what === undefined) continue;
      const asked = { name: head.name.slice(0, head.nameLength), type: head.type, class: 1 };
      const rcode = typeof what === 'number' ? what : RCODE.NOERROR;
      const answer = typeof what === 'number' ? [] : what;
      const wire = buildResponse(asked, { rcode, flags: FLAG.RA, answer });
      putU16(wire, 0, message.readUInt16BE(0));
      deliver(wire);
      await settle();
    }
    return waitedMs;
  }
  return assert.fail('the name was not looked up');
}

/** The upstream that gets the query; each query is answered at once. */
async function askedOf({ sockets }: Fixture, group: UpstreamGroup): Promise<string> {
  const watched = watch(group.exchange(question(), 4_000));
  for (const socket of sockets.datagrams) {
    if (socket.to.address === RESOLVER.address) continue;
    if (socket.queries.length > 0 && watched.outcome === undefined)
      socket.answer({ address: ADDRESS });
    await settle();
  }
  return replyOf(watched).upstream;
}

function fixtureWith(overrides: Partial<UpstreamGroupOptions> = {}) {
  const network = fixture();
  const options = {
    upstreams: [],
    names: [{ ...HOST, before: 0 }],
    resolvers: [RESOLVER],
    ...overrides,
  };
  return { network, group: network.room.group(groupOptions(options)) };
}

const warnings = ({ log }: Fixture): string[] =>
  log.records.filter(({ level }) => level === 'warn').map(({ message }) => message);

const remedies = ({ log }: Fixture): string[] =>
  log.records.flatMap(({ fields: { remedy } }) => (remedy === undefined ? [] : [String(remedy)]));

test('without an address its queries fail at once, and it is looked up every second', async () => {
  const { network, group } = fixtureWith();
  const watched = watch(group.exchange(question(), 4_000));
  await settle();
  assert.match(errorOf(watched).message, /ns\.corp\.example\. is not resolved yet/);
  assert.equal(group.isResolved?.(), false);
  await say(network, EMPTY);
  for (let round = 0; round < 3; round++) assert.ok((await say(network, EMPTY)) <= 1_000);
  assert.deepEqual(warnings(network), [
    'upstream ns.corp.example. cannot be resolved: it has no address; its queries get SERVFAIL, will retry',
  ]);
  assert.match(remedies(network).join(), /^see that the resolvers know the name: option resolver/);
  await say(network, { A: [v4(1)], AAAA: [] });
  assert.equal(await askedOf(network, group), '10.1.0.1:53');
  assert.equal(group.isResolved?.(), true);
});

test('its addresses of both families are upstreams, each with its own health and series', async () => {
  const { network, group } = fixtureWith({ policy: 'round_robin' });
  await say(network, { A: [v4(1), v4(2)], AAAA: [v6(1)] });
  const asked = [
    await askedOf(network, group),
    await askedOf(network, group),
    await askedOf(network, group),
  ];
  assert.deepEqual(asked, ['10.1.0.2:53', '[fd00::1]:53', '10.1.0.1:53']);
  assert.deepEqual(
    network.room
      .summary()
      .map(({ to }) => to)
      .sort(),
    ['10.1.0.1:53', '10.1.0.2:53', '[fd00::1]:53'],
  );
  assert.equal(network.metrics.value('nodens_upstream_endpoints', { name: 'ns.corp.example.' }), 3);
});

test('it is looked up again when the TTL ends, and a change is applied', async () => {
  const { network, group } = fixtureWith();
  await say(network, { A: [v4(1, 60)], AAAA: [] });
  const waitedMs = await say(network, { A: [v4(2, 60)], AAAA: [] });
  assert.ok(waitedMs >= 44_000 && waitedMs <= 60_000, `${waitedMs}`);
  assert.equal(await askedOf(network, group), '10.1.0.2:53');
  await network.clock.advance(31_000);
  assert.deepEqual(
    network.room.summary().map(({ to }) => to),
    ['10.1.0.2:53'],
  );
});

test('the last known addresses stay in use while the look-up fails, which is logged once', async () => {
  const { network, group } = fixtureWith();
  await say(network, { A: [v4(1, 5)], AAAA: [v6(1)] });
  for (const said of [
    { A: RCODE.SERVFAIL, AAAA: RCODE.SERVFAIL },
    { A: RCODE.NXDOMAIN, AAAA: RCODE.NXDOMAIN },
    {},
    EMPTY,
  ] as Said[]) {
    await say(network, said);
    await network.clock.advance(4_100);
    assert.equal(await askedOf(network, group), '10.1.0.1:53');
  }
  assert.equal(warnings(network).length, 1);
  assert.match(warnings(network)[0] ?? '', /SERVFAIL; the addresses known so far stay in use/);
  await say(network, { A: [v4(9)], AAAA: [] });
  assert.equal(await askedOf(network, group), '10.1.0.9:53');
  assert.match(network.log.records.at(-1)?.message ?? '', /can be resolved again/);
});

test('a family without a reply keeps its addresses', async () => {
  const { network } = fixtureWith();
  await say(network, { A: [v4(1)], AAAA: [v6(1)] });
  await say(network, { A: [v4(2)], AAAA: RCODE.SERVFAIL });
  await network.clock.advance(31_000);
  assert.deepEqual(
    network.room.summary().map(({ to }) => to),
    ['10.1.0.2:53', '[fd00::1]:53'],
  );
});

test('it keeps its position in the Corefile, between addresses', async () => {
  const B = { address: '192.0.2.2', port: 53 };
  const { network, group } = fixtureWith({
    upstreams: [A, B],
    names: [{ ...HOST, port: 5353, before: 1 }],
  });
  assert.equal(await askedOf(network, group), '192.0.2.1:53');
  await say(network, { A: [v4(1)], AAAA: [] });
  assert.deepEqual(
    network.room.summary().map(({ to }) => to),
    ['192.0.2.1:53', '10.1.0.1:5353', '192.0.2.2:53'],
  );
});

test('addresses of nodens itself are never used', async () => {
  const isOwn = ({ address }: { address: string }) => address === '10.1.0.1';
  const { network, group } = fixtureWith({ isOwn });
  await say(network, { A: [v4(1)], AAAA: [] });
  assert.match(warnings(network)[0] ?? '', /nodens itself listens at its addresses/);
  assert.match(remedies(network).join(), /^give forward a name or an address at which another/);
  assert.equal(group.isResolved?.(), false);
  await say(network, { A: [v4(1), v4(2)], AAAA: [] });
  assert.equal(await askedOf(network, group), '10.1.0.2:53');
});

test('a released group stops look-ups', async () => {
  const { network, group } = fixtureWith();
  await say(network, { A: [v4(1, 5)], AAAA: [] });
  group.release();
  await network.clock.advance(60_000);
  assert.deepEqual(looks(network), []);
  assert.deepEqual(network.room.summary(), []);
});
