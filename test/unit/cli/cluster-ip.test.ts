/** Init warns at the start where the VIP of its settings is not the one of the Service kube-dns. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, it } from 'node:test';

const MAIN = new URL('../../../dist/init/main.js', import.meta.url).pathname;
const LOCAL_IPS = '169.254.20.10,10.96.0.10';

const folder = mkdtempSync(join(tmpdir(), 'nodens-cluster-ip-'));
after(() => rmSync(folder, { recursive: true }));

/** Lines of the log until init has set up; in this test it changes nothing on the node. */
async function started(serviceHost: string): Promise<Record<string, unknown>[]> {
  const nothing = ['-setupinterface=false', '-setupiptables=false'];
  const argv = [MAIN, '-localip', LOCAL_IPS, '-socket', join(folder, 'control.sock'), ...nothing];
  const env = { ...process.env, KUBE_DNS_SERVICE_HOST: serviceHost };
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'pipe'], env });
  const closed = once(child, 'close');
  child.stderr.resume();
  const lines: Record<string, unknown>[] = [];
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      lines.push(JSON.parse(line) as Record<string, unknown>);
      if (line.includes('"msg":"set up"')) return lines;
    }
    throw new Error('ended before it had set up');
  } finally {
    child.kill('SIGKILL');
    await closed;
  }
}

it('a local IP that is not the Service’s is a warning at the start', async () => {
  const found = (await started('10.96.0.99')).filter(({ event }) => event === 'cluster-ip');
  assert.deepEqual(
    found.map(({ level, msg }) => [level, msg]),
    [['warn', '10.96.0.10 is to be the VIP of kube-dns, but the Service kube-dns has 10.96.0.99']],
  );
});

it('a local IP that is the Service’s is no warning', async () => {
  const found = (await started('10.96.0.10')).filter(({ level }) => level === 'warn');
  assert.deepEqual(found, []);
});
