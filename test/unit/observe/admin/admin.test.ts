import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { Agent, get, request } from 'node:http';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { AdminRoute, AdminServer } from '../../../../agent/observe/admin/admin.ts';
import { MIN_RETRY_MS, USUAL_MS } from '../../../../agent/observe/admin/listener.ts';
import { adminServer } from '../../../support/admin.ts';
import { eventually } from '../../../support/netns/netns.ts';
import { fakeServices } from '../../../support/services.ts';

interface Got {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

function ask(
  port: number,
  path: string,
  options: { method?: string; agent?: Agent; socketPath?: string } = {},
) {
  return new Promise<Got>((resolve, reject) => {
    const sent = request(
      { host: '127.0.0.1', port, path, agent: false, ...options },
      (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          body += chunk;
        });
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
        );
      },
    );
    sent.on('error', reject);
    sent.end();
  });
}

function page(address: string, path: string, body: string): AdminRoute {
  return { address, path, handler: () => ({ status: 200, contentType: 'text/plain', body }) };
}

const ANY = '127.0.0.1:0';

describe('AdminServer', () => {
  let services: ReturnType<typeof fakeServices>;
  let admin: AdminServer;
  beforeEach(() => {
    services = fakeServices();
    admin = adminServer(services);
  });
  afterEach(() => admin.close());

  const portOf = (address: string): number => {
    const port = admin.ports.get(address);
    assert.ok(port !== undefined, `${address} is not open`);
    return port;
  };

  it('serves endpoints by path to GET and HEAD and refuses other methods', async () => {
    await admin.reconcile([page(ANY, '/health', 'OK'), page(ANY, '/ready', 'R')]);
    const port = portOf(ANY);
    const got = await ask(port, '/health?x=1');
    assert.deepEqual([got.status, got.body], [200, 'OK']);
    assert.equal(got.headers['content-type'], 'text/plain');
    assert.equal((await ask(port, '/ready')).body, 'R');
    const head = await ask(port, '/health', { method: 'HEAD' });
    assert.deepEqual([head.status, head.headers['content-length'], head.body], [200, '2', '']);
    assert.equal((await ask(port, '/')).status, 404);
    const post = await ask(port, '/health', { method: 'POST' });
    assert.deepEqual([post.status, post.headers.allow], [405, 'GET, HEAD']);
  });

  it('has an index at / where it has metrics, unless another page is there', async () => {
    await admin.reconcile([page(ANY, '/metrics', 'm'), page(ANY, '/health', 'OK')]);
    const index = await ask(portOf(ANY), '/');
    assert.equal(index.status, 200);
    assert.equal(index.headers['content-type'], 'text/html; charset=utf-8');
    assert.match(String(index.headers['content-security-policy']), /^default-src 'none'/);
    const links = [...index.body.matchAll(/href="([^"]*)"/g)].map(([, link = '']) => link);
    assert.deepEqual(links, ['/metrics', '/health']);
    for (const link of links) assert.equal((await ask(portOf(ANY), link)).status, 200);
    assert.equal((await ask(portOf(ANY), '/other')).status, 404);
    assert.equal((await ask(portOf(ANY), '/', { method: 'POST' })).status, 405);
    await admin.reconcile([page(ANY, '/metrics', 'm'), page(ANY, '/', 'own')]);
    assert.equal((await ask(portOf(ANY), '/')).body, 'own');
  });

  it('answers 500 where an endpoint fails, and continues', async () => {
    const broken = { ...page(ANY, '/metrics', ''), handler: () => Promise.reject(new Error('no')) };
    await admin.reconcile([broken]);
    assert.equal((await ask(portOf(ANY), '/metrics')).status, 500);
    assert.equal((await ask(portOf(ANY), '/metrics')).status, 500);
  });

  it('replaces endpoints without closing the port or its connections', async () => {
    await admin.reconcile([page(ANY, '/a', 'old'), page(ANY, '/b', 'gone soon')]);
    const port = portOf(ANY);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    assert.equal((await ask(port, '/a', { agent })).body, 'old');
    await admin.reconcile([page(ANY, '/a', 'shadowed'), page(ANY, '/a', 'new')]);
    assert.equal(portOf(ANY), port);
    const reused = await new Promise<boolean>((resolve, reject) => {
      const sent = get({ host: '127.0.0.1', port, path: '/a', agent }, (response) => {
        response.resume();
        response.on('end', () => resolve(sent.reusedSocket));
      });
      sent.on('error', reject);
    });
    assert.equal(reused, true);
    assert.equal((await ask(port, '/a', { agent })).body, 'new');
    assert.equal((await ask(port, '/b', { agent })).status, 404);
    agent.destroy();
  });

  it('closes a port that no configuration uses any more', async () => {
    await admin.reconcile([page(ANY, '/a', 'a')]);
    const port = portOf(ANY);
    await admin.reconcile([page('[::1]:0', '/a', 'a')]);
    await assert.rejects(ask(port, '/a'), { code: 'ECONNREFUSED' });
    assert.deepEqual([...admin.ports.keys()], ['[::1]:0']);
  });

  it('logs and counts a busy port, and opens it once it is free', async () => {
    const blocker = createServer();
    await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve));
    const { port } = blocker.address() as AddressInfo;
    const address = `localhost:${port}`;
    await admin.reconcile([page(address, '/a', 'a'), page(ANY, '/a', 'a')]);
    const failures = (): number =>
      services.metrics.value('nodens_admin_listen_errors_total', { address });
    assert.equal(failures(), 1);
    const reported = services.log.records.find(({ fields }) => fields.event === 'admin-port');
    assert.deepEqual([reported?.level, reported?.fields.errno], ['info', 'EADDRINUSE']);
    assert.equal((await ask(portOf(ANY), '/a')).body, 'a');

    await new Promise<void>((resolve) => blocker.close(() => resolve()));
    await services.clock.advance(MIN_RETRY_MS);
    await eventually('the port is taken', () => admin.ports.has(address));
    assert.equal((await ask(port, '/a')).body, 'a');
    assert.equal(failures(), 1);
    await eventually('nothing is left to do', () => services.clock.pendingTimers === 0);
  });

  for (const [what, errno] of [
    ['a port that the previous pod still has', 'EADDRINUSE'],
    ['an address that init has not added to the node yet', 'EADDRNOTAVAIL'],
  ] as const)
    it(`${what} is a warning only after a while, logged once`, async (t) => {
      const blocker = createServer();
      await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve));
      t.after(() => blocker.close());
      const { port } = blocker.address() as AddressInfo;
      const address = errno === 'EADDRINUSE' ? `127.0.0.1:${port}` : '192.0.2.1:8080';
      const { clock, log } = services;
      const reported = (): string[] => log.records.map(({ level }) => level);
      const usualMs = USUAL_MS[errno] ?? 0;
      await admin.reconcile([page(address, '/a', 'a')]);
      for (const startMs = clock.nowMs(); clock.nowMs() < startMs + usualMs + 20_000; ) {
        if (clock.nowMs() < startMs + usualMs) assert.deepEqual(reported(), ['info']);
        await eventually('the next try', () => clock.pendingTimers === 1);
        await clock.advance(5_000);
      }
      await eventually('the last try', () => clock.pendingTimers === 1);
      assert.deepEqual(reported(), ['info', 'warn']);
      const [first, last] = log.records.map(({ fields }) => String(fields.remedy));
      assert.doesNotMatch(String(first), /end it|is init running/);
      assert.match(String(last), /end it|is init running/);
    });

  it('serves on a unix socket, also where a killed process left its socket', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'nodens-admin-'));
    const path = join(folder, 'probe.sock');
    const socket = `unix:${path}`;
    const leave = `require('node:net').createServer().listen('${path}', () => process.kill(process.pid, 'SIGKILL'))`;
    assert.equal(spawnSync(process.execPath, ['-e', leave]).signal, 'SIGKILL');
    assert.ok(existsSync(path));
    await admin.reconcile([page(socket, '/health', 'OK'), page(socket, '/ready', 'R')]);
    assert.equal((await ask(0, '/ready', { socketPath: path })).body, 'R');

    const second = adminServer(services);
    await second.reconcile([page(socket, '/health', 'second')]);
    assert.equal((await ask(0, '/health', { socketPath: path })).body, 'OK', 'not removed');
    await second.close();
    await admin.reconcile([]);
    assert.equal(existsSync(path), false);
    rmSync(folder, { recursive: true });
  });

  it('stops retrying when closed', async () => {
    // No host has 192.0.2.1 (RFC 5737): EADDRNOTAVAIL, as for a local IP that init has yet to add.
    const address = '192.0.2.1:8080';
    await admin.reconcile([page(address, '/health', 'OK')]);
    assert.equal(services.clock.pendingTimers, 1);
    await services.clock.advance(MIN_RETRY_MS);
    await eventually('a retry', () => services.clock.pendingTimers === 1);
    assert.equal(services.metrics.value('nodens_admin_listen_errors_total', { address }), 2);
    assert.equal(services.log.records.length, 1, 'the same reason is logged once');
    await admin.close();
    assert.equal(services.clock.pendingTimers, 0);
  });

  it('survives whatever bytes arrive', async () => {
    await admin.reconcile([page(ANY, '/a', 'a')]);
    for (const bytes of [
      '\r\n\r\n',
      'GET /a',
      `GET /${'x'.repeat(100_000)} HTTP/1.1\r\n\r\n`,
      '\u0000',
    ]) {
      const socket = connect(portOf(ANY), '127.0.0.1');
      socket.on('error', () => {});
      socket.end(bytes);
      socket.resume();
      await new Promise((resolve) => socket.once('close', resolve));
    }
    assert.equal((await ask(portOf(ANY), '/a')).body, 'a');
  });
});
