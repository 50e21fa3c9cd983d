import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ForwardedQuery, UpstreamTls } from '../../../agent/query/services/upstreams.ts';
import { settle } from '../../support/fake-clock.ts';
import { A, B, fixture, groupOptions, question, watch } from '../../support/upstream/fixture.ts';
import { replyTo, type SeenQuery } from '../../support/upstream/messages.ts';

const ADDRESS = [192, 0, 2, 80] as const;

interface Tapped extends Omit<ForwardedQuery, 'query'> {
  readonly query: Buffer;
}

/** A tap, and what it has seen. */
function tapping() {
  const tapped: Tapped[] = [];
  const tap = (forwarded: ForwardedQuery): void =>
    void tapped.push({ ...forwarded, query: Buffer.from(forwarded.query()) });
  return { tapped, tap };
}

test('a tap sees a query as it was sent, and its response as it was received', async () => {
  const { room, sockets, clock } = fixture();
  const { tapped, tap } = tapping();
  const sentMs = clock.nowMs();
  watch(room.group(groupOptions()).exchange(question({ tap }), 4_000));
  const socket = sockets.udp(A.address);
  const [sent] = socket.queries as [SeenQuery];
  await clock.advance(20);
  const response = replyTo(sent, { address: ADDRESS });
  socket.deliver(response);
  await settle();
  assert.equal(tapped.length, 1);
  assert.deepEqual(tapped[0], {
    ...{ upstream: A, protocol: 'udp', sentMs, response, query: sent.message },
  });
});

test('each attempt is a query of its own: one without a reply, and a repeat over TCP', async () => {
  const { room, sockets, clock } = fixture();
  const { tapped, tap } = tapping();
  const group = room.group(groupOptions({ upstreams: [A, B] }));
  watch(group.exchange(question({ tap }), 4_000));
  await clock.advance(1_500);
  sockets.udp(B.address).answer({ truncated: true });
  await settle();
  const stream = sockets.tcp(B.address);
  stream.open();
  await settle();
  stream.answer({ address: ADDRESS });
  await settle();
  const all = [...sockets.datagrams, ...sockets.streams].flatMap(({ queries }) => queries);
  // The agent's own questions about an upstream are shown to no tap.
  const sent = all.filter(({ message }) => message.includes('example'));
  assert.ok(sent.length < all.length);
  const sorted = (messages: readonly Buffer[]): Buffer[] => [...messages].sort(Buffer.compare);
  assert.deepEqual(
    sorted(tapped.map(({ query }) => query)),
    sorted(sent.map(({ message }) => message)),
  );
  const answered = tapped.filter(({ response }) => response !== undefined);
  assert.deepEqual(
    answered.map(({ upstream, protocol }) => `${upstream.address} ${protocol}`),
    [`${B.address} udp`, `${B.address} tcp`],
  );
  assert.ok(
    tapped.some(
      ({ upstream, response }) => upstream.address === A.address && response === undefined,
    ),
  );
});

const HTTPS: UpstreamTls = { https: { path: '/', method: 'POST' } };
for (const [protocol, tls] of [
  ['tls', {}],
  ['https', HTTPS],
] as const)
  test(`a tap is told of ${protocol}`, async () => {
    const { room, sockets } = fixture();
    const { tapped, tap } = tapping();
    const group = room.group(groupOptions({ upstreams: [{ ...A, tls }] }));
    watch(group.exchange(question({ tap }), 4_000));
    const stream = sockets.tcp(A.address);
    stream.open();
    await settle();
    stream.answer({ address: ADDRESS });
    await settle();
    assert.deepEqual(
      tapped.map((each) => each.protocol),
      [protocol],
    );
  });

test('a query that was not sent is not shown', async () => {
  const { room } = fixture();
  const { tapped, tap } = tapping();
  const group = room.group(groupOptions());
  await room.close();
  const watched = watch(group.exchange(question({ tap }), 4_000));
  await settle();
  assert.ok(watched.outcome instanceof Error);
  assert.deepEqual(tapped, []);
});
