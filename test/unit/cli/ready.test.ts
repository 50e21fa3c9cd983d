/** The text of /ready at a start without init, and at a start where init has not connected yet. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, it } from 'node:test';
import { freePort } from '../../support/free-port.ts';

const MAIN = new URL('../../../dist/agent/main.js', import.meta.url).pathname;

const folder = mkdtempSync(join(tmpdir(), 'nodens-ready-'));
after(() => rmSync(folder, { recursive: true }));

interface Page {
  readonly status: number;
  readonly body: string;
}

/** The text of /ready once the agent serves. */
async function readyWhenServing(args: readonly string[], env = process.env): Promise<Page> {
  const page = `127.0.0.1:${await freePort()}`;
  const conf = join(folder, `Corefile.${page}`);
  writeFileSync(conf, `.:${await freePort()} {\nbind 127.0.0.1\nready ${page}\nwhoami\n}\n`);
  const argv = [MAIN, 'agent', '-localip', '127.0.0.1', '-conf', conf, '-basecorefile=', ...args];
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'], env });
  const closed = once(child, 'close');
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      if (!line.includes('"msg":"serving"')) continue;
      const response = await fetch(`http://${page}/ready`);
      return { status: response.status, body: await response.text() };
    }
    throw new Error('ended before it served');
  } finally {
    child.kill('SIGKILL');
    await closed;
  }
}

it('waits for an init that has not connected yet', async () => {
  const page = await readyWhenServing(['-socket', join(folder, 'control.sock')]);
  assert.deepEqual(page, { status: 503, body: 'interception' });
});

it('does not wait where the flag says that there is no init', async () => {
  const { status, body } = await readyWhenServing(['-without-init']);
  assert.deepEqual([status, body], [200, 'OK']);
});

it('the flag is refused where init is the parent', () => {
  const argv = [MAIN, '-localip', '127.0.0.1', '-conf', join(folder, 'none'), '-without-init'];
  const { status, stderr } = spawnSync(process.execPath, argv, { encoding: 'utf8' });
  assert.equal(status, 2);
  assert.match(stderr, /flag -without-init: here init is the parent/);
});

it('does not wait for a parent that could not open its control socket', async () => {
  const env = { ...process.env, NODENS_CONTROL_SOCKET: '' };
  const { status, body } = await readyWhenServing(['-socket', join(folder, 'none.sock')], env);
  assert.deepEqual([status, body], [200, 'OK']);
});
