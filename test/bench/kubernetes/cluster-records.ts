/**
 * What the records of a large cluster cost the agent as built: memory, and how late hits are while events come in. Agent
 * and client have real-time priority, so that the server and other programs cannot delay them. Phases with and without events
 * take turns. `pauses.ts` adds what the agent itself sees: turns of its event loop, and garbage collections.
 * `node test/bench/kubernetes/cluster-records.ts [SERVICES ENDPOINTS EVENTS_PER_SECOND]`
 */
import { type ChildProcess, execFileSync, fork, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../support/free-port.ts';
import { namespaceObject, serviceObject, sliceObject } from '../../support/kubernetes/objects.ts';
import { ScriptedApi } from '../../support/kubernetes/scripted-api.ts';
import type { ScriptedObject } from '../../support/kubernetes/scripted-objects.ts';
import { eventually } from '../../support/netns/netns.ts';
import { queryWire } from '../../support/server/fixture.ts';
import { overUdp, stopped } from '../../support/server/subject.ts';
import type { Pauses } from './pauses.ts';

const NODENS = fileURLToPath(new URL('../../../dist/agent/main.js', import.meta.url));
const SERVICES = '/api/v1/services';
const SLICES = '/apis/discovery.k8s.io/v1/endpointslices';
const NAMESPACES = 50;
const SECONDS = 4;
const ROUNDS = 5;
const PAUSES = new URL('pauses.ts', import.meta.url).href;
/** As in the manifests. Given by hand, because the program that starts anew would lose its channel to this one. */
const HEAP = ['--max-semi-space-size=2', '--max-old-space-size=96', '--no-maglev'];
const CLIENT_PRIORITY = 20;
const AGENT_PRIORITY = 10;
const BOUND_MS = 120_000;
const WEB = 's0.n0.svc.cluster.local';

const object = (value: object): ScriptedObject => value as ScriptedObject;
const address = (net: number, i: number): string =>
  `10.${net + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`;

interface Size {
  readonly services: number;
  readonly endpoints: number;
}

function sliceOf(i: number, { services, endpoints }: Size, round: number): ScriptedObject {
  const each = Math.ceil(endpoints / services);
  const ips = Array.from({ length: each }, (_, k) => address(128, i * each + k));
  // One endpoint of the slice changes in each round, as in a rollout.
  ips[round % each] = `${round % 2 === 1 ? '!' : ''}${ips[round % each]}`;
  return object(
    sliceObject(`n${i % NAMESPACES}/s${i}-abcde`, `s${i}`, ips, ['http:80', 'metrics:9090']),
  );
}

/** The API server, in a process of its own: sends events when it is told to. */
async function serve(size: Size): Promise<void> {
  const api = new ScriptedApi();
  for (let i = 0; i < NAMESPACES; i++)
    api.put('/api/v1/namespaces', object(namespaceObject(`n${i}`)));
  for (let i = 0; i < size.services; i++) {
    const options = { ips: [address(96, i)], ports: ['http:80', 'metrics:9090'] };
    api.put(SERVICES, object(serviceObject(`n${i % NAMESPACES}/s${i}`, options)));
    api.put(SLICES, sliceOf(i, size, 0));
  }
  process.send?.(await api.listen());
  process.on('message', (perSecond: number) => {
    let sent = 0;
    const beganMs = performance.now();
    const timer = setInterval(() => {
      const due = Math.min(SECONDS, (performance.now() - beganMs) / 1_000) * perSecond;
      while (sent < due)
        api.put(
          SLICES,
          sliceOf(sent % size.services, size, Math.floor(sent++ / size.services) + 1),
        );
      if (sent < SECONDS * perSecond) return;
      clearInterval(timer);
      process.send?.('sent');
    }, 5);
  });
}

function memoryOf({ pid }: ChildProcess): string {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  const megabytes = (field: string): string => {
    const [, kib = '0'] = new RegExp(`${field}:\\s+(\\d+)`).exec(text) ?? [];
    return `${((Number(kib) * 1_024) / 1e6).toFixed(1)} MB`;
  };
  return `resident ${megabytes('VmRSS')}, anonymous ${megabytes('RssAnon')}`;
}

/** Latencies of hits, ms, one after the other, until `isOver`. */
async function hits(port: number, isOver: () => boolean): Promise<number[]> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.connect(port, '127.0.0.1', resolve));
  const latencies: number[] = [];
  while (!isOver()) {
    const sentMs = performance.now();
    const answered = new Promise((resolve) => socket.once('message', resolve));
    socket.send(queryWire(WEB, 1));
    await answered;
    latencies.push(performance.now() - sentMs);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  socket.close();
  return latencies.sort((a, b) => a - b);
}

function summary(latencies: readonly number[]): string {
  const at = (share: number): string =>
    (latencies[Math.min(latencies.length - 1, Math.floor(share * latencies.length))] ?? 0).toFixed(
      2,
    );
  const late = latencies.filter((each) => each > 1).length;
  return `${latencies.length} hits: median ${at(0.5)}, 99 % ${at(0.99)}, 99.9 % ${at(0.999)}, most ${at(1)} ms; ${late} over 1 ms`;
}

function corefile(port: number, metricsPort: number, url: string | undefined): string {
  const records =
    url === undefined ? '' : `kubernetes cluster.local in-addr.arpa {\nendpoint ${url}\n}`;
  return `.:${port} {\nbind 127.0.0.1\nprometheus 127.0.0.1:${metricsPort}\ncache\n${records}\nwhoami\n}\n`;
}

async function withAgent(
  url: string | undefined,
  use: (child: ChildProcess, port: number, metricsPort: number) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'nodens-records-'));
  const [port, metricsPort] = [await freePort(), await freePort()];
  writeFileSync(join(folder, 'Corefile'), corefile(port, metricsPort, url));
  const args = [...HEAP, '--import', PAUSES, NODENS, 'agent', '-conf', join(folder, 'Corefile')];
  const child = spawn(process.execPath, args, {
    env: { ...process.env, MALLOC_ARENA_MAX: '1' },
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  try {
    const target = { host: '127.0.0.1', port };
    await eventually(
      'it answers',
      async () => (await overUdp(target, queryWire(WEB, 1), 200)) !== undefined,
      BOUND_MS,
    );
    setRealTime(child.pid as number, AGENT_PRIORITY);
    await use(child, port, metricsPort);
  } finally {
    await stopped(child);
    rmSync(folder, { recursive: true });
  }
}

/** Not possible without privileges: the figures then have the machine's noise in them. */
function setRealTime(pid: number, priority: number): void {
  const policy = priority > 0 ? '-f' : '-o';
  try {
    execFileSync('chrt', ['-a', policy, '-p', String(priority), String(pid)], { stdio: 'ignore' });
  } catch {
    process.stderr.write('no real-time priority\n');
  }
}

async function pausesOf(child: ChildProcess): Promise<Pauses> {
  child.send('tell');
  const [pauses] = (await once(child, 'message')) as [Pauses];
  return pauses;
}

/** Hits and pauses of all phases of one kind. */
class Phases {
  readonly latencies: number[] = [];
  readonly turnsMs: number[] = [];
  readonly collectionsMs: number[] = [];

  add(latencies: readonly number[], { turnsMs, collectionsMs }: Pauses): void {
    this.latencies.push(...latencies);
    this.turnsMs.push(...turnsMs);
    this.collectionsMs.push(...collectionsMs);
  }

  get text(): string {
    const longest = (values: readonly number[]): string =>
      `${values.filter((ms) => ms > 1).length} over 1 ms, longest ${Math.max(0, ...values).toFixed(2)} ms`;
    const hits = summary(this.latencies.toSorted((a, b) => a - b));
    return `${hits}\n    turns: ${longest(this.turnsMs)}; ${this.collectionsMs.length} garbage collections: ${longest(this.collectionsMs)}`;
  }
}

async function counted(metricsPort: number, series: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  const lines = text.split('\n').filter((line) => line.startsWith(series));
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

async function measure(size: Size, perSecond: number): Promise<void> {
  const print = (text: string): void => void process.stdout.write(`${text}\n`);
  const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
  const args = ['serve', String(size.services), String(size.endpoints)];
  setRealTime(process.pid, CLIENT_PRIORITY);
  const server = fork(fileURLToPath(import.meta.url), args);
  setRealTime(server.pid as number, 0);
  const url = await new Promise<string>((resolve) =>
    server.once('message', (text) => resolve(String(text))),
  );
  await withAgent(undefined, async (child, port) => {
    await pause(5_000);
    print(`without kubernetes: ${memoryOf(child)}`);
    const endMs = performance.now() + 5_000;
    print(`  ${summary(await hits(port, () => performance.now() > endMs))}`);
  });
  await withAgent(url, async (child, port, metricsPort) => {
    const endpoints = 'nodens_kubernetes_objects{kind="endpoints"}';
    await eventually(
      'all is listed',
      async () => (await counted(metricsPort, endpoints)) >= size.endpoints,
      BOUND_MS,
    );
    print(
      `${size.services} Services, ${size.endpoints} endpoints, just listed: ${memoryOf(child)}`,
    );
    await pause(20_000);
    print(`20 s later: ${memoryOf(child)}`);
    const before = await counted(metricsPort, 'nodens_api_events_total');
    const [still, busy] = [new Phases(), new Phases()];
    for (let round = 0; round < ROUNDS; round++) {
      await pausesOf(child);
      const endMs = performance.now() + SECONDS * 1_000;
      still.add(await hits(port, () => performance.now() > endMs), await pausesOf(child));
      let isSent = false;
      server.once('message', () => {
        isSent = true;
      });
      server.send(perSecond);
      busy.add(await hits(port, () => isSent), await pausesOf(child));
    }
    const read = (await counted(metricsPort, 'nodens_api_events_total')) - before;
    print(`without events\n  ${still.text}`);
    print(`${perSecond} events/s, ${ROUNDS} times ${SECONDS} s, ${read} read: ${memoryOf(child)}`);
    print(`  ${busy.text}`);
  });
  server.kill();
}

const [mode = '', ...rest] = process.argv.slice(2);
const numbers = (mode === 'serve' ? rest : [mode, ...rest]).map(Number);
const [services = 5_000, endpoints = 20_000, perSecond = 2_000] = numbers.map(
  (n, i) => n || ([5_000, 20_000, 2_000][i] as number),
);
if (mode === 'serve') await serve({ services, endpoints });
else await measure({ services, endpoints }, perSecond);
