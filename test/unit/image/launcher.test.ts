import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { flagsFor } from '../../../agent/cli/heap.ts';

const SOURCE = new URL('../../../native/launcher/nodens-launch.c', import.meta.url).pathname;

const NET_BIND_SERVICE = 1 << 10;
const NET_ADMIN = 1 << 12;
const UNPRIVILEGED_ID = 65_532;

/** Readable for the unprivileged user, unlike the tree this may be checked out in. */
const folder = mkdtempSync(join(tmpdir(), 'nodens-launch-'));
chmodSync(folder, 0o755);
after(() => rmSync(folder, { recursive: true }));

function compile(
  name: string,
  source: string,
  defines: Readonly<Record<string, string>> = {},
): string {
  const program = join(folder, name);
  const macros = Object.entries(defines).map(([macro, text]) => `-D${macro}="${text}"`);
  execFileSync('cc', ['-O2', '-Wall', '-Wextra', '-Werror', ...macros, '-o', program, source]);
  return program;
}

const here = (name: string): string => new URL(name, import.meta.url).pathname;
const probe = compile('probe', here('probe.c'));
const launcher = compile('launcher', SOURCE, {
  NODENS_NODE: probe,
  NODENS_MAIN: '/main.js',
  // No memory limit, whatever this machine has.
  NODENS_ROOT: '/nonexistent',
});

interface Report {
  readonly ambient: number;
  readonly effective: number;
  readonly bindErrno: number;
  readonly argv: readonly string[];
}

test('the launcher runs node with flags for its heap, the bundle and the unchanged arguments', () => {
  const args = ['-localip', '169.254.20.10,10.96.0.10', '', 'two words', '--'];
  const { stdout } = spawnSync(launcher, args, { encoding: 'utf8' });
  const flags = flagsFor(args, '', () => undefined);
  assert.notEqual(flags.length, 0);
  assert.deepEqual((JSON.parse(stdout) as Report).argv, [probe, ...flags, '/main.js', ...args]);
});

test('without node: one line that says so, and exit code 127 as from a shell', () => {
  const lost = compile('lost', SOURCE, { NODENS_NODE: '/nonexistent/node' });
  const { status, stderr } = spawnSync(lost, { encoding: 'utf8' });
  assert.equal(status, 127);
  assert.match(
    stderr,
    /^nodens-launch: cannot execute \/nonexistent\/node: No such file or directory$/m,
  );
});

/** `nodens probe`: its exit code and output. */
async function ask(...args: string[]): Promise<[number | null, string]> {
  const child = spawn(launcher, ['probe', ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return [code, stderr];
}

test('probe reads an endpoint of the agent on a unix socket, and prints what is wrong', async () => {
  const socket = join(folder, 'probe.sock');
  const pages: Readonly<Record<string, [number, string]>> = {
    '/health': [200, 'OK'],
    '/ready': [503, 'forward,listeners'],
  };
  const server = createServer((request, response) => {
    const [status, body] = pages[request.url ?? ''] ?? [404, 'not found'];
    response.writeHead(status).end(body);
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  assert.deepEqual(await ask(socket, '/health'), [0, '']);
  assert.deepEqual(await ask(socket, '/ready'), [1, 'nodens-launch: /ready: forward,listeners\n']);
  assert.deepEqual(await ask(socket), [
    2,
    'nodens-launch: usage: nodens probe SOCKET PAGE [UNTIL SECONDS]\n',
  ]);
  const long = `/${'x'.repeat(600)}`;
  assert.equal((await ask(socket, long))[0], 1);
  assert.equal((await ask(long, '/health'))[0], 1);

  server.removeAllListeners('request');
  const silent = await ask(socket, '/health');
  assert.deepEqual(silent, [1, `nodens-launch: ${socket}: Resource temporarily unavailable\n`]);
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  assert.equal((await ask(socket, '/health'))[0], 1);
});

test('probe waits for a second endpoint, and then prints the result of the first', async (t) => {
  const socket = join(folder, 'wait.sock');
  const asked: string[] = [];
  let [health, readyAfter] = [200, 3];
  const server = createServer(({ url = '' }, response) => {
    asked.push(url);
    const isReady = asked.length > readyAfter;
    response.writeHead(url === '/health' ? health : isReady ? 200 : 503).end('no');
  });
  t.after(() => server.close());
  // The agent's socket is not there yet when the kubelet starts to probe.
  const early = ask(socket, '/health', '/ready', '60');
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  assert.deepEqual(await early, [0, '']);
  assert.deepEqual(asked, ['/ready', '/ready', '/ready', '/ready', '/health']);

  readyAfter = Number.POSITIVE_INFINITY;
  assert.deepEqual(await ask(socket, '/health', '/ready', '1'), [0, ''], 'not ready, but there');
  health = 503;
  assert.deepEqual(await ask(socket, '/health', '/ready', '1'), [
    1,
    'nodens-launch: /health: no\n',
  ]);
  for (const wrong of ['', '0', '-1', '1s', '99999', 'soon'])
    assert.equal((await ask(socket, '/health', '/ready', wrong))[0], 2, wrong);
  assert.equal((await ask(socket, '/health', '/ready'))[0], 2);
});

if (process.getuid?.() === 0) asContainers();
else
  process.stdout.write(
    'left out without root: the launcher under the capabilities of containers\n',
  );

interface Container {
  readonly uid: number;
  readonly capabilities: number;
  readonly noNewPrivs?: boolean;
  readonly firstUnprivilegedPort?: number;
}

function asContainers(): void {
  const confine = compile('confine', here('confine.c'));
  execFileSync('setcap', ['cap_net_bind_service=p', launcher]);

  const run = (container: Container): Report & { stderr: string } => {
    const { uid, capabilities, noNewPrivs = true, firstUnprivilegedPort = 1024 } = container;
    const limits = [uid, capabilities, noNewPrivs ? 1 : 0, firstUnprivilegedPort].map(String);
    const child = spawnSync(confine, [...limits, launcher, 'agent'], { encoding: 'utf8' });
    assert.equal(child.status, 0, child.stderr);
    return { ...(JSON.parse(child.stdout) as Report), stderr: child.stderr };
  };

  for (const noNewPrivs of [true, false])
    test(`the agent's container binds port 53 without root, no_new_privs ${noNewPrivs}`, () => {
      const report = run({ uid: UNPRIVILEGED_ID, capabilities: NET_BIND_SERVICE, noNewPrivs });
      assert.equal(report.ambient, NET_BIND_SERVICE);
      assert.equal(report.effective, NET_BIND_SERVICE);
      assert.equal(report.bindErrno, 0);
      assert.equal(report.stderr, '');
    });

  test('the same container without the launcher cannot', () => {
    const limits = [UNPRIVILEGED_ID, NET_BIND_SERVICE, 1, 1024].map(String);
    const { stdout } = spawnSync(confine, [...limits, probe], { encoding: 'utf8' });
    assert.equal((JSON.parse(stdout) as Report).bindErrno, constants.errno.EACCES);
  });

  test('a container without the capability still starts, with one line of warning', () => {
    const report = run({ uid: UNPRIVILEGED_ID, capabilities: 0 });
    assert.equal(report.bindErrno, constants.errno.EACCES);
    assert.match(report.stderr, /^nodens-launch: no CAP_NET_BIND_SERVICE, .*\n$/);
  });

  test('no warning where the node lets every user bind port 53', () => {
    const report = run({ uid: UNPRIVILEGED_ID, capabilities: 0, firstUnprivilegedPort: 53 });
    assert.deepEqual([report.bindErrno, report.stderr], [0, '']);
  });

  test("init's container, root whose bounding set lacks the capability, starts and gains no capability", () => {
    const report = run({ uid: 0, capabilities: NET_ADMIN });
    assert.equal(report.effective, NET_ADMIN);
    assert.equal(report.ambient, 0);
    assert.equal(report.stderr, '');
  });
}
