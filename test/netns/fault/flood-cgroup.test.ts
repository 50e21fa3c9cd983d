/**
 * A memory limit that the kernel enforces, and a flood of unique names, more than time out at a dead upstream. The kernel
 * does not kill the agent for memory, and hits and misses of a healthy upstream keep their answers.
 * `NODENS_FLOOD_SECONDS=600` (npm run chaos -- --soak) makes it longer, `NODENS_FLOOD_RATE` makes it faster.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { must } from '../../support/cluster/process/run.ts';
import { until } from '../../support/cluster/process/wait.ts';
import { freePort } from '../../support/free-port.ts';
import { allowedMs } from '../../support/machine.ts';
import { MemoryGroup } from '../../support/netns/memory-group.ts';
import { sayLeftOut } from '../../support/netns/netns.ts';

const SECONDS = Number(process.env.NODENS_FLOOD_SECONDS ?? 12);
/** A rate for slow machines, too; `npm run chaos` sets a higher one. */
const RATE = Number(process.env.NODENS_FLOOD_RATE ?? 8_000);
const MEBI = 2 ** 20;
const LIMIT_BYTES = 128 * MEBI;
/** In the cache before the flood begins; a block holds 9,984 by default. */
const WARM_NAMES = 9_000;
const ASK_EVERY_MS = 50;
/** Number of queries for cached names for each query for an uncached one. */
const NEW_EVERY = 4;
/** Time within which a stub resolver gets its answer without a retry. */
const IN_TIME_MS = await allowedMs(1_000);
/** Share of all datagrams; none on an idle machine. */
const MAX_DROPPED = 0.05;
const MAIN = fileURLToPath(new URL('../../../dist/agent/main.js', import.meta.url));
const FLOOD = fileURLToPath(new URL('../../support/clients/unique.c', import.meta.url));

const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });

async function bound(): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 4 * MEBI });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return socket;
}

/** `nINDEX.warm.test A`. */
function query(id: number, index: number): Buffer {
  const label = `n${index}`;
  const name = `${String.fromCharCode(label.length)}${label}\x04warm\x04test\0`;
  const head = Buffer.from([id >> 8, id & 0xff, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  return Buffer.concat([head, Buffer.from(`${name}\0\x01\0\x01`, 'latin1')]);
}

const ADDRESS_RECORD = Buffer.from('c00c000100010000 0e100004c0000201'.replace(' ', ''), 'hex');

/** Answers every question with an address that is good for an hour. */
function answerAll(upstream: Socket): void {
  upstream.on('message', (asked, { port, address }) => {
    const end = asked.indexOf(0, 12) + 5;
    const head = Buffer.from([...asked.subarray(0, 2), 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
    const answer = Buffer.concat([head, asked.subarray(12, end), ADDRESS_RECORD]);
    upstream.send(answer, port, address);
  });
}

/** Asks for cached names, and at times for names of a healthy upstream; records the latency of each answer. */
class Hits {
  readonly #socket: Socket;
  readonly #port: number;
  readonly #sentMs = new Map<number, number>();
  readonly tookMs: number[] = [];
  asked = 0;

  constructor(socket: Socket, port: number) {
    this.#socket = socket;
    this.#port = port;
    socket.on('message', (answer) => {
      const sentMs = this.#sentMs.get(answer.readUInt16BE(0));
      const isGood = ((answer[3] as number) & 0x0f) === 0 && answer[7] === 1;
      if (sentMs !== undefined && isGood) this.tookMs.push(performance.now() - sentMs);
      this.#sentMs.delete(answer.readUInt16BE(0));
    });
  }

  ask(): void {
    const id = this.asked++ & 0xffff;
    const isNew = this.asked % NEW_EVERY === 0;
    const index = isNew ? WARM_NAMES + this.asked : (this.asked * 7) % WARM_NAMES;
    this.#sentMs.set(id, performance.now());
    this.#socket.send(query(id, index), this.#port, '127.0.0.1');
  }

  /** Fills the cache: every name once, a few at a time. */
  async fill(): Promise<void> {
    await until('the first answer', () => {
      this.ask();
      return this.tookMs.length > 0;
    });
    for (let index = 0; index < WARM_NAMES; index += 50) {
      for (let i = index; i < index + 50; i++)
        this.#socket.send(query(0xffff, i), this.#port, '127.0.0.1');
      await pause(5);
    }
    await pause(IN_TIME_MS);
    this.tookMs.length = 0;
    this.asked = 0;
  }

  get late(): number {
    return this.asked - this.tookMs.filter((ms) => ms <= IN_TIME_MS).length;
  }

  get slowestMs(): number {
    return Math.max(0, ...this.tookMs);
  }
}

function residentBytes({ pid }: ChildProcess): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s*(\d+) kB/m.exec(status)?.[1]) * 1_024;
}

/** Sum of the series `name`. */
async function counted(port: number, name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

function corefile(port: number, metricsPort: number, alive: Socket, dead: Socket): string {
  const block = (zone: string, upstream: Socket): string =>
    `${zone}:${port} {\n bind 127.0.0.1\n cache 3600\n prometheus 127.0.0.1:${metricsPort}\n` +
    ` forward . 127.0.0.1:${upstream.address().port}\n}\n`;
  return block('warm.test', alive) + block('.', dead);
}

async function flooded(group: MemoryGroup, folder: string): Promise<void> {
  const program = join(folder, 'unique');
  await must(['musl-gcc', '-static', '-O2', '-Wall', '-o', program, FLOOD]);
  const [alive, dead, client] = [await bound(), await bound(), await bound()];
  let reached = 0;
  answerAll(alive);
  dead.on('message', () => reached++);
  const [port, metricsPort] = [await freePort(), await freePort()];
  const conf = join(folder, 'Corefile');
  writeFileSync(conf, corefile(port, metricsPort, alive, dead));
  const flags = ['agent', '--conf', conf, '--basecorefile=', '--quiet'];
  const [file = '', ...args] = group.command([process.execPath, MAIN, ...flags]);
  const agent = spawn(file, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  try {
    const hits = new Hits(client, port);
    await hits.fill();
    const asking = setInterval(() => hits.ask(), ASK_EVERY_MS);
    let [peak, kernel] = [0, 0];
    const watching = setInterval(() => {
      if (agent.exitCode === null && agent.signalCode === null)
        peak = Math.max(peak, residentBytes(agent));
      kernel = Math.max(kernel, group.kernelBytes);
    }, 4 * ASK_EVERY_MS);
    const { stdout } = await promisify(execFile)(program, [`${port}`, `${RATE}`, `${SECONDS}`]);
    clearInterval(asking);
    clearInterval(watching);
    assert.equal(group.oomKills, 0, 'the kernel killed processes for memory');
    assert.equal(agent.exitCode ?? agent.signalCode, null, 'the agent has ended');
    await pause(IN_TIME_MS);
    const { sent, answered } = JSON.parse(stdout) as { sent: number; answered: number };
    const dropped = await counted(metricsPort, 'nodens_udp_receive_drops_total');
    const taken = await counted(metricsPort, 'coredns_dns_requests_total');
    const cacheBytes = await counted(metricsPort, 'nodens_cache_bytes');
    const mebi = (bytes: number): string => (bytes / MEBI).toFixed(1);
    process.stdout.write(
      `# ${sent} unique names in ${SECONDS} s, ${answered} answered, ${reached} reached the dead upstream; ` +
        `RSS at most ${mebi(peak)} MiB and kernel ${mebi(kernel)} MiB of ${mebi(LIMIT_BYTES)}; ` +
        `cache ${mebi(cacheBytes)} MiB; ${hits.late} of ${hits.asked} hits late, ` +
        `slowest ${hits.slowestMs.toFixed(0)} ms; ${dropped} datagrams dropped by the kernel\n`,
    );
    assert.ok(peak + kernel < LIMIT_BYTES, `${peak} bytes resident, ${kernel} in the kernel`);
    // Hits share the socket with the flood: a share of the datagrams that the kernel drops under load are hits.
    const share = dropped / (sent + hits.asked);
    const forgiven = dropped === 0 ? 0 : 2 + 2 * share * hits.asked;
    assert.ok(hits.late <= forgiven, `${hits.late} hits late of ${hits.asked}`);
    assert.ok(share < MAX_DROPPED, `${dropped} datagrams dropped`);
    assert.ok(sent > 0.9 * RATE * SECONDS, `${sent} names were asked`);
    // Every datagram is accounted for.
    assert.ok(taken + dropped >= sent + hits.asked, `${taken} counted, ${dropped} dropped`);
    assert.ok(reached <= 2 * sent, `${reached} queries reached the dead upstream`);
    await until('nothing to be in flight', async () => {
      return (await counted(metricsPort, 'nodens_in_flight_queries')) === 0;
    });
    const limited = await counted(metricsPort, 'nodens_client_limited_total');
    assert.ok(limited > 0, 'the flood did not reach the limit');
  } finally {
    agent.kill('SIGKILL');
    await until('the agent to be gone', () => agent.exitCode !== null || agent.signalCode !== null);
    for (const socket of [alive, dead, client]) socket.close();
  }
}

const group = MemoryGroup.make();
if (group === undefined) sayLeftOut('a flood within a memory limit: no memory cgroup can be made');
else
  it(`${SECONDS} s of ${RATE} unique names a second against a dead upstream, in ${LIMIT_BYTES / MEBI} MiB`, async () => {
    assert.ok(existsSync(MAIN), 'dist/ is missing: npm run build');
    const folder = mkdtempSync(join(tmpdir(), 'nodens-flood-'));
    try {
      group.limit(LIMIT_BYTES);
      await flooded(group, folder);
    } finally {
      await group.remove();
      rmSync(folder, { recursive: true });
    }
  });
