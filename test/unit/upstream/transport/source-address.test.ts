/** The address of the node that queries are sent from, over each transport, against real sockets. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { after, type TestContext, test } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { systemClock } from '../../../../agent/base/clock.ts';
import { FrameReader, frame } from '../../../../agent/dns/frame.ts';
import type { UpstreamGroup, UpstreamTls } from '../../../../agent/query/services/upstreams.ts';
import { createUpstreams } from '../../../../agent/upstream/upstreams.ts';
import { ledgerWith } from '../../../support/ledger.ts';
import { ReadableMetrics, RecordingLogger } from '../../../support/services.ts';
import { Authority } from '../../../support/upstream/certificates.ts';
import { groupOptions, question } from '../../../support/upstream/fixture.ts';
import { replyTo, seenQuery } from '../../../support/upstream/messages.ts';

const authority = new Authority();
after(() => authority.remove());
const PAIR = authority.sign('IP:127.0.0.1');
/** Every address of 127.0.0.0/8 is the node's. */
const FROM = '127.0.0.9';

function group(
  t: TestContext,
  port: number,
  sourceAddress: string,
  more: { forceTcp?: boolean; tls?: UpstreamTls } = {},
): UpstreamGroup {
  const room = createUpstreams({
    ...{ clock: systemClock, metrics: new ReadableMetrics(), log: new RecordingLogger() },
    ...{ random: Math.random, ledger: ledgerWith() },
  });
  t.after(() => room.close());
  const { forceTcp = false, tls } = more;
  const upstreams = [{ address: '127.0.0.1', port, tls }];
  return room.group(groupOptions({ upstreams, forceTcp, sourceAddress }));
}

const reply = (message: Buffer): Buffer =>
  replyTo(seenQuery(message), { address: [192, 0, 2, 80] });

/** Answers frames, and notes where streams come from. */
async function listening(
  t: TestContext,
  server: Server,
  event: string,
): Promise<{
  readonly port: number;
  readonly seen: (string | undefined)[];
}> {
  const sockets: Socket[] = [];
  const seen: (string | undefined)[] = [];
  server.on(event, (socket: Socket) => {
    sockets.push(socket);
    seen.push(socket.remoteAddress);
    const frames = new FrameReader();
    socket.on('error', () => undefined);
    socket.on('data', (chunk) =>
      frames.push(chunk, (message) => void socket.write(frame(reply(message)))),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, seen };
}

test('over UDP; a source of the other family has no part in it', async (t) => {
  const server = createSocket('udp4');
  const seen: string[] = [];
  server.on('message', (message, { address, port }) => {
    seen.push(address);
    server.send(reply(message), port, address);
  });
  server.bind(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  for (const from of [FROM, '2001:db8::9'])
    await group(t, server.address().port, from).exchange(question(), 4_000);
  assert.equal(seen[0], FROM);
  assert.equal(seen.at(-1), '127.0.0.1');
});

test('over TCP', async (t) => {
  const { port, seen } = await listening(t, createServer(), 'connection');
  await group(t, port, FROM, { forceTcp: true }).exchange(question(), 4_000);
  assert.equal(seen[0], FROM);
});

test('over TLS', async (t) => {
  const options = { cert: readFileSync(PAIR.cert), key: readFileSync(PAIR.key) };
  const { port, seen } = await listening(t, createTlsServer(options), 'secureConnection');
  await group(t, port, FROM, { tls: { ca: authority.pem } }).exchange(question(), 4_000);
  assert.equal(seen[0], FROM);
});

test('an address that the node does not have is named as what the node lacks', async (t) => {
  const { port, seen } = await listening(t, createServer(), 'connection');
  const asked = group(t, port, '192.0.2.9', { forceTcp: true }).exchange(question(), 2_000);
  await assert.rejects(asked, {
    isLocal: true,
    message:
      'no upstream was asked: this node lacks the address 192.0.2.9 to send from (EADDRNOTAVAIL)',
  });
  assert.deepEqual(seen, []);
});
