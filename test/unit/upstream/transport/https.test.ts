/** DNS over HTTPS against real servers: unbound, and servers that misbehave. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { after, type TestContext, test } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { systemClock } from '../../../../agent/base/clock.ts';
import type {
  UpstreamGroup,
  UpstreamGroupOptions,
  UpstreamHttps,
} from '../../../../agent/query/services/upstreams.ts';
import { createUpstreams } from '../../../../agent/upstream/upstreams.ts';
import { ledgerWith } from '../../../support/ledger.ts';
import { eventually } from '../../../support/netns/netns.ts';
import { ReadableMetrics, RecordingLogger } from '../../../support/services.ts';
import { Authority } from '../../../support/upstream/certificates.ts';
import { groupOptions, question } from '../../../support/upstream/fixture.ts';
import {
  answer,
  DNS,
  dialled,
  listen,
  type Request,
  startHttp,
} from '../../../support/upstream/https-server.ts';
import { startUnbound } from '../../../support/upstream/tls-unbound.ts';

const authority = new Authority();
after(() => authority.remove());
const ca = authority.pem;
const GOOD = authority.sign('DNS:dns.example.org,IP:127.0.0.1');
const POST: UpstreamHttps = { path: '/dns-query', method: 'POST' };
const SERVFAIL = 2;

interface Client {
  readonly group: UpstreamGroup;
  readonly metrics: ReadableMetrics;
}

function client(
  t: TestContext,
  port: number,
  https: UpstreamHttps = POST,
  options: Partial<UpstreamGroupOptions> = {},
  serverName: string | undefined = undefined,
): Client {
  const metrics = new ReadableMetrics();
  const room = createUpstreams({
    ...{ clock: systemClock, metrics, log: new RecordingLogger(), random: Math.random },
    ledger: ledgerWith(),
  });
  t.after(() => room.close());
  const upstreams = [{ address: '127.0.0.1', port, tls: { ca, serverName, https } }];
  return { metrics, group: room.group(groupOptions({ upstreams, ...options })) };
}

for (const method of ['POST', 'GET'] as const)
  test(`unbound is asked over HTTPS by ${method}, verified by name and by address`, async (t) => {
    const unbound = await startUnbound(authority, GOOD, 'https');
    t.after(() => unbound.stop());
    const https = { path: '/dns-query', method };
    for (const serverName of ['dns.example.org', undefined]) {
      const { group, metrics } = client(t, unbound.port, https, {}, serverName);
      const asked = Array.from({ length: 50 }, () => group.exchange(question(), 4_000));
      for (const { reply } of await Promise.all(asked))
        assert.deepEqual([...reply.wire.subarray(-4)], [192, 0, 2, 80]);
      const labels = { transport: 'https' };
      assert.ok(metrics.value('nodens_upstream_queries_total', labels) >= 50);
      const connections = metrics.value('nodens_upstream_connections', labels);
      assert.ok(connections >= 1 && connections <= 4, `${connections} connections`);
    }
  });

test('requests are those of RFC 8484: method, path, media type, the bytes of the query', async (t) => {
  const server = await startHttp(t, GOOD);
  await client(t, server.port, POST, {}, 'dns.example.org').group.exchange(question(), 4_000);
  const path = '/tenant?key=1';
  await client(t, server.port, { path, method: 'GET' }).group.exchange(question(), 4_000);
  const [post, get] = server.requests.map(({ headers }) => headers);
  const type = 'application/dns-message';
  assert.deepEqual(
    [post?.[':method'], post?.[':path'], post?.['content-type'], post?.accept],
    ['POST', '/dns-query', type, type],
  );
  assert.equal(post?.[':authority'], `dns.example.org:${server.port}`);
  assert.equal(post?.['content-length'], `${server.requests[0]?.query.message.length}`);
  assert.deepEqual(
    [get?.[':method'], get?.accept, get?.['content-type']],
    ['GET', type, undefined],
  );
  assert.match(get?.[':path'] ?? '', /^\/tenant\?key=1&dns=[\w-]+$/);
});

const FAULTS: readonly [string, (request: Request) => void, string][] = [
  ['404', ({ stream }) => stream.respond({ ':status': 404 }, { endStream: true }), 'HTTP 404'],
  [
    'another media type',
    ({ stream }) => {
      stream.respond({ ':status': 200, 'content-type': 'text/html' });
      stream.end('<p>');
    },
    'HTTP 200 with another content type',
  ],
  [
    'no body',
    ({ stream }) => stream.respond(DNS, { endStream: true }),
    'HTTP 200 without a message',
  ],
  [
    'a body of more than 65,535 bytes',
    ({ stream }) => {
      stream.respond(DNS);
      stream.end(Buffer.alloc(70_000));
    },
    'HTTP 200 with too many bytes',
  ],
  ['a reset', ({ stream }) => stream.close(2), 'no HTTP response'],
  [
    'a body that is no message',
    ({ stream }) => {
      stream.respond(DNS);
      stream.end('hello');
    },
    'HTTP 200 without a message',
  ],
];

for (const [what, respond, text] of FAULTS)
  test(`${what}: its query fails alone, and the client is told which upstream`, async (t) => {
    const server = await startHttp(t, GOOD, (request, at) =>
      (at === 0 ? answer : respond)(request),
    );
    const { group, metrics } = client(t, server.port);
    await group.exchange(question(), 4_000);
    const { reply } = await group.exchange(question(), 4_000);
    assert.equal(reply.rcode, SERVFAIL);
    assert.equal(reply.extended?.text, `127.0.0.1:${server.port} over https: ${text}`);
    assert.equal(server.sessions.length, 1, 'the connection stays');
    assert.equal(metrics.value('nodens_upstream_connections', { transport: 'https' }), 1);
  });

test('a server without HTTP/2 gets no request', async (t) => {
  let bytes = 0;
  const options = { cert: readFileSync(GOOD.cert), key: readFileSync(GOOD.key) };
  const server = createTlsServer(options, (socket) => {
    socket
      .on('error', () => undefined)
      .on('data', (part: Buffer) => {
        bytes += part.length;
      });
  });
  const port = await listen(t, server, () => undefined);
  const { group } = client(t, port, POST, { maxConnectAttempts: 1 });
  await assert.rejects(group.exchange(question(), 2_500), /over https: \S+ in handshake/);
  assert.equal(bytes, 0);
});

test('an expired certificate is refused', async (t) => {
  const unbound = await startUnbound(authority, authority.sign('IP:127.0.0.1', -1), 'https');
  t.after(() => unbound.stop());
  const { group } = client(t, unbound.port, POST, { maxConnectAttempts: 1 });
  await assert.rejects(group.exchange(question(), 2_500), /CERT_HAS_EXPIRED in handshake/);
});

test('a server that ends a session costs no failure', async (t) => {
  const server = await startHttp(t, GOOD);
  const { group } = client(t, server.port);
  for (let i = 1; i <= 3; i++) {
    const { reply } = await group.exchange(question(), 4_000);
    assert.equal(reply.rcode, 0);
    assert.equal(server.sessions.length, i);
    server.sessions.at(-1)?.goaway(0);
    if (i === 2) continue;
    // Also where the agent has seen the end before it asks again.
    const session = server.sessions.at(-1);
    const closed = session === undefined ? undefined : once(session, 'close');
    session?.close();
    await closed;
  }
});

test('an idle connection is ended, whatever the server does', async (t) => {
  const server = await startHttp(t, GOOD);
  const { port, closed } = await dialled(server.port, ca);
  await eventually('a session', () => server.sessions.length === 1);
  port.end();
  await closed;
  await eventually('its end', () => server.sessions[0]?.destroyed === true);
});
