/** DNS over TLS against real servers: unbound, and servers that misbehave. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { after, type TestContext, test } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { systemClock } from '../../../../agent/base/clock.ts';
import { DnsError } from '../../../../agent/base/errors.ts';
import { FrameReader, frame } from '../../../../agent/dns/frame.ts';
import type {
  UpstreamGroup,
  UpstreamGroupOptions,
  UpstreamTls,
} from '../../../../agent/query/services/upstreams.ts';
import { createUpstreams } from '../../../../agent/upstream/upstreams.ts';
import { ledgerWith } from '../../../support/ledger.ts';
import { familyOf } from '../../../support/metrics/families.ts';
import { ReadableMetrics, RecordingLogger } from '../../../support/services.ts';
import { Authority } from '../../../support/upstream/certificates.ts';
import { groupOptions, question } from '../../../support/upstream/fixture.ts';
import { replyTo, seenQuery } from '../../../support/upstream/messages.ts';
import { startUnbound } from '../../../support/upstream/tls-unbound.ts';

const authority = new Authority();
after(() => authority.remove());
const ca = authority.pem;
const GOOD = authority.sign('DNS:dns.example.org,IP:127.0.0.1');

interface Client {
  readonly group: UpstreamGroup;
  readonly metrics: ReadableMetrics;
}

function client(
  t: TestContext,
  port: number,
  tls: UpstreamTls,
  options: Partial<UpstreamGroupOptions> = {},
): Client {
  const metrics = new ReadableMetrics();
  const log = new RecordingLogger();
  const room = createUpstreams({
    ...{ clock: systemClock, metrics, log, random: Math.random },
    ledger: ledgerWith(),
  });
  t.after(() => room.close());
  const upstreams = [{ address: '127.0.0.1', port, tls: { ca, ...tls } }];
  return { metrics, group: room.group(groupOptions({ upstreams, ...options })) };
}

async function refusedIn(group: UpstreamGroup, reason: RegExp): Promise<void> {
  await assert.rejects(group.exchange(question(), 2_500), (error) => {
    assert.ok(error instanceof DnsError, String(error));
    assert.match(error.message, reason);
    return true;
  });
}

test('unbound is asked over TLS, verified by name and by address', async (t) => {
  const unbound = await startUnbound(authority, GOOD);
  t.after(() => unbound.stop());
  for (const tls of [{ serverName: 'dns.example.org' }, {}]) {
    const { group, metrics } = client(t, unbound.port, tls);
    const asked = Array.from({ length: 50 }, () => group.exchange(question(), 4_000));
    for (const { reply } of await Promise.all(asked)) {
      assert.deepEqual([...reply.wire.subarray(-4)], [192, 0, 2, 80]);
    }
    const labels = { transport: 'tls' };
    assert.ok(metrics.value('nodens_upstream_queries_total', labels) >= 50);
    // One attempt succeeds where the machine is not too busy.
    const connections = metrics.value('nodens_upstream_connections', labels);
    assert.ok(connections >= 1 && connections <= 4, `${connections} connections`);
    const phases = familyOf(metrics, 'nodens_upstream_phase_seconds');
    const counted = phases?.values.filter(
      ({ metricName, labels: { transport }, value }) =>
        metricName?.endsWith('_count') && transport === 'tls' && value > 0,
    );
    const seen = counted?.map(({ labels: { phase } }) => phase);
    assert.deepEqual(seen, ['connect', 'handshake', 'write', 'wait']);
  }
});

test('an expired certificate, a wrong name, a wrong address and an unknown CA are refused', async (t) => {
  const expired = authority.sign('DNS:dns.example.org', -1);
  const byNameOnly = authority.sign('DNS:dns.example.org');
  const cases = [
    [expired, { serverName: 'dns.example.org' }, /CERT_HAS_EXPIRED in handshake/],
    [GOOD, { serverName: 'other.example.org' }, /ERR_TLS_CERT_ALTNAME_INVALID in handshake/],
    [byNameOnly, {}, /ERR_TLS_CERT_ALTNAME_INVALID in handshake/],
    [GOOD, { ca: undefined }, /(SELF_SIGNED|UNABLE_TO)\S+ in handshake/],
  ] as const;
  for (const [pair, tls, reason] of cases) {
    const server = await startTls(t, pair);
    const { group, metrics } = client(t, server.port, tls, { maxConnectAttempts: 1 });
    await refusedIn(group, reason);
    assert.equal(server.queries, 0, 'no query is sent to an unverified server');
    const labels = { transport: 'tls', phase: 'handshake' };
    assert.ok(metrics.value('nodens_upstream_failures_total', labels) >= 1);
  }
});

test('dials are bounded, however many queries need one', async (t) => {
  const expired = authority.sign('IP:127.0.0.1', -1);
  const server = await startTls(t, expired);
  const { group } = client(t, server.port, {});
  const until = systemClock.nowMs() + 1_000;
  while (systemClock.nowMs() < until)
    await Promise.allSettled([group.exchange(question(), 100), group.exchange(question(), 100)]);
  assert.ok(server.dialled >= 3 && server.dialled <= 12, `${server.dialled} dials in a second`);
});

test('a server that closes idle connections costs no failure, and the session is resumed', async (t) => {
  const server = await startTls(t, GOOD);
  const { group } = client(t, server.port, { serverName: 'dns.example.org' });
  for (let i = 0; i < 3; i++) {
    const { reply } = await group.exchange(question(), 4_000);
    assert.equal(reply.rcode, 0);
    await server.closeAll();
  }
  assert.deepEqual(server.resumed, [false, true, true]);
});

test('a handshake that stalls is abandoned and reported', async (t) => {
  const sockets = new Set<Socket>();
  const stalling = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).resume();
  });
  const port = await listen(t, stalling, sockets);
  const { group } = client(t, port, {}, { maxConnectAttempts: 1 });
  await refusedIn(group, /ETIMEDOUT in handshake/);
  const first = [...sockets][0] as Socket;
  if (!first.closed) await once(first, 'close', { signal: AbortSignal.timeout(2_000) });
});

interface TlsServer {
  readonly port: number;
  queries: number;
  dialled: number;
  /** For each connection, whether its session was resumed. */
  readonly resumed: boolean[];
  closeAll(): Promise<void>;
}

/** A server of our own that answers everything. */
async function startTls(t: TestContext, pair: typeof GOOD): Promise<TlsServer> {
  const sockets = new Set<Socket>();
  const options = { cert: readFileSync(pair.cert), key: readFileSync(pair.key) };
  const server = createTlsServer(options, (socket) => {
    state.resumed.push(socket.isSessionReused());
    socket.on('error', () => undefined);
    const frames = new FrameReader();
    socket.on('data', (chunk) =>
      frames.push(chunk, (message) => {
        state.queries++;
        socket.write(frame(replyTo(seenQuery(message), { address: [192, 0, 2, 80] })));
      }),
    );
  });
  const state = {
    port: 0,
    queries: 0,
    dialled: 0,
    resumed: [] as boolean[],
    async closeAll() {
      const closed = [...sockets].map(
        (socket) => new Promise((done) => socket.once('close', done)),
      );
      for (const socket of sockets) socket.end();
      await Promise.all(closed);
    },
  };
  server.on('tlsClientError', () => undefined);
  server.on('connection', (socket: Socket) => {
    state.dialled++;
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
  });
  state.port = await listen(t, server, sockets);
  return state;
}

async function listen(t: TestContext, server: Server, sockets: Set<Socket>): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as { port: number }).port;
}
