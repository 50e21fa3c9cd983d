/**
 * The agent stays within its memory limit: unique names, sent faster than they time out at a dead upstream, do not
 * take the process over the limit that its cache was sized for, and hits are answered throughout.
 * `NODENS_SOAK_SECONDS=600` (npm run chaos -- --soak) makes it longer.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { decode, encode } from 'dns-packet';
import { cacheBudget } from '../../agent/daemon/node/memory.ts';
import { freePort } from '../support/free-port.ts';

const SOAK_MS = Number(process.env.NODENS_SOAK_SECONDS ?? 5) * 1_000;
const MEBI = 2 ** 20;
/** As in the manifests: the container's limit, and the heap that the launcher grants within it. */
const LIMIT_BYTES = 192 * MEBI;
const HEAP = ['--max-old-space-size=86', '--max-semi-space-size=2'];
const MAIN = new URL('../../dist/agent/main.js', import.meta.url).pathname;
/** Unique names a turn, and milliseconds between turns: 4,000 a second. */
const BURST = 40;
const TURN_MS = 10;
const WARM_MS = 100;
const PATIENCE_MS = 2_000;

const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });

async function bound(port = 0): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.bind(port, '127.0.0.1');
  await once(socket, 'listening');
  return socket;
}

function answerAll(upstream: Socket): void {
  upstream.on('message', (query, { port, address }) => {
    const { id = 0, questions = [] } = decode(query);
    const name = questions[0]?.name ?? '';
    const answers = [{ type: 'A' as const, name, ttl: 3_600, data: '192.0.2.1' }];
    upstream.send(encode({ type: 'response', id, questions, answers }), port, address);
  });
}

const queryFor = (id: number, name: string): Buffer =>
  encode({ type: 'query', id, flags: 0x100, questions: [{ type: 'A', name, class: 'IN' }] });

/** The answer's rcode, undefined without one in time. */
async function ask(port: number, name: string): Promise<string | undefined> {
  const socket = await bound();
  try {
    const answered = once(socket, 'message', { signal: AbortSignal.timeout(PATIENCE_MS) });
    socket.send(queryFor(1, name), port, '127.0.0.1');
    const [wire] = (await answered) as [Buffer];
    return (decode(wire) as { rcode?: string }).rcode;
  } catch {
    return undefined;
  } finally {
    socket.close();
  }
}

function residentBytes({ pid }: ChildProcess): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s*(\d+) kB/m.exec(status)?.[1]) * 1_024;
}

it(`${SOAK_MS / 1_000} s of unique names against a dead upstream stay within the memory limit`, async () => {
  assert.ok(existsSync(MAIN), 'dist/ is missing: npm run build');
  const folder = mkdtempSync(join(tmpdir(), 'nodens-soak-'));
  const [dead, alive, flood] = [await bound(), await bound(), await bound()];
  answerAll(alive);
  const port = await freePort();
  const corefile = join(folder, 'Corefile');
  const block = (zone: string, upstream: Socket): string =>
    `${zone}:${port} {\n bind 127.0.0.1\n cache\n forward . 127.0.0.1:${upstream.address().port}\n}\n`;
  writeFileSync(corefile, block('warm.test', alive) + block('.', dead));
  const cache = String(cacheBudget(undefined, LIMIT_BYTES).bytes);
  const flags = ['agent', '--conf', corefile, '--memory', cache, '--basecorefile='];
  const agent = spawn(process.execPath, [...HEAP, MAIN, ...flags], { stdio: 'ignore' });
  try {
    for (let tries = 0; (await ask(port, 'name0.warm.test')) !== 'NOERROR'; tries++)
      assert.ok(tries < 20, 'the agent does not serve');
    let unique = 0;
    const flooding = setInterval(() => {
      for (let i = 0; i < BURST; i++)
        flood.send(queryFor(unique & 0xffff, `${unique++}.flood.test`), port, '127.0.0.1');
    }, TURN_MS);
    const endMs = performance.now() + SOAK_MS;
    let [peak, asked, missed] = [0, 0, 0];
    while (performance.now() < endMs) {
      await pause(WARM_MS);
      asked++;
      if ((await ask(port, `name${asked % 20}.warm.test`)) !== 'NOERROR') missed++;
      peak = Math.max(peak, residentBytes(agent));
    }
    clearInterval(flooding);
    process.stdout.write(
      `# ${unique} unique names in ${SOAK_MS / 1_000} s: RSS at most ${Math.round(peak / MEBI)} MiB of ` +
        `${LIMIT_BYTES / MEBI}; ${missed} of ${asked} warm queries unanswered\n`,
    );
    assert.equal(agent.exitCode, null, 'it runs');
    assert.ok(unique > SOAK_MS, `${unique} names`);
    assert.ok(peak < LIMIT_BYTES, `${peak} bytes`);
    assert.equal(missed, 0);
  } finally {
    agent.kill('SIGKILL');
    for (const socket of [dead, alive, flood]) socket.close();
    rmSync(folder, { recursive: true });
  }
});
