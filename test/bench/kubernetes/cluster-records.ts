/**
 * What the records of a large cluster cost the agent as built: memory, and hits that are late while events come in. Windows
 * take turns in which the API server sends events to the agent, and as many to another program: the machine has the same
 * work in both. API server and clients share a processor, and the agent's main thread has the other one: in the field they
 * are on other machines. Where this machine allows it, the client and that thread have real-time priority: else most late
 * hits are those that wait for a processor. `pauses.ts` adds what the agent itself sees: turns of its event loop, and garbage
 * collections. Ends with 1 if events make hits late.
 * `node test/bench/kubernetes/cluster-records.ts [SERVICES ENDPOINTS EVENTS_PER_SECOND]`
 */
import { type ChildProcess, execFile, execFileSync, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { heapFlags } from '../../../agent/cli/heap.ts';
import { freePort } from '../../support/free-port.ts';
import { namespaceObject, serviceObject, sliceObject } from '../../support/kubernetes/objects.ts';
import { ScriptedApi } from '../../support/kubernetes/scripted-api.ts';
import type { ScriptedObject } from '../../support/kubernetes/scripted-objects.ts';
import { eventually } from '../../support/netns/netns.ts';
import { queryWire } from '../../support/server/fixture.ts';
import { overUdp, stopped } from '../../support/server/subject.ts';
import type { Latency } from '../load.ts';
import { compile } from '../programs/compile.ts';
import { median } from '../results.ts';
import type { Pauses } from './pauses.ts';
import { Windows } from './windows.ts';

const NODENS = fileURLToPath(new URL('../../../dist/agent/main.js', import.meta.url));
const SERVICES = '/api/v1/services';
const SLICES = '/apis/discovery.k8s.io/v1/endpointslices';
/** A collection that only the other program watches. */
const ELSEWHERE = '/apis/elsewhere';
const NAMESPACES = 50;
const SECONDS = 3;
const ROUNDS = 8;
/** Events that the API server keeps for watches that resume: two seconds of them. */
const KEPT_EVENTS = 4_000;
const PAUSES = new URL('pauses.ts', import.meta.url).href;
const MIB = 2 ** 20;
/** As in the manifests. Given by hand, because the program that starts anew would lose its channel to this one. */
const HEAP = heapFlags(48 * MIB, 192 * MIB);
const CLIENT_PRIORITY = 20;
const AGENT_PRIORITY = 10;
const HITS_PER_SECOND = 2_000;
/** Hits that events may make late, of all: the median of the rounds, in percent. */
const MOST_LATE_PERCENT = 0.1;
const BOUND_MS = 120_000;
const WEB = 's0.n0.svc.cluster.local';

const object = (value: object): ScriptedObject => value as ScriptedObject;
const address = (net: number, i: number): string =>
  `10.${net + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`;

/** What the API server is told: for some seconds, events of the collection `path`. */
interface Order {
  readonly path: string;
  readonly perSecond: number;
}

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
  const api = new ScriptedApi({ keptEvents: KEPT_EVENTS });
  for (let i = 0; i < NAMESPACES; i++)
    api.put('/api/v1/namespaces', object(namespaceObject(`n${i}`)));
  for (let i = 0; i < size.services; i++) {
    const options = { ips: [address(96, i)], ports: ['http:80', 'metrics:9090'] };
    api.put(SERVICES, object(serviceObject(`n${i % NAMESPACES}/s${i}`, options)));
    api.put(SLICES, sliceOf(i, size, 0));
  }
  process.send?.(await api.listen());
  let serial = 0;
  process.on('message', ({ path, perSecond }: Order) => {
    let sent = 0;
    const beganMs = performance.now();
    const timer = setInterval(() => {
      const due = Math.min(SECONDS, (performance.now() - beganMs) / 1_000) * perSecond;
      for (; sent < due; sent++, serial++)
        api.put(
          path,
          sliceOf(serial % size.services, size, Math.floor(serial / size.services) + 1),
        );
      if (sent < SECONDS * perSecond) return;
      clearInterval(timer);
      process.send?.('sent');
    }, 5);
  });
}

/** The other program: reads events, and drops them. */
function drain(url: string): void {
  get(`${url}${ELSEWHERE}?watch=1&resourceVersion=0&timeoutSeconds=600`, (response) =>
    response.resume(),
  );
}

function memoryOf({ pid }: ChildProcess): string {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  const megabytes = (field: string): string => {
    const [, kib = '0'] = new RegExp(`${field}:\\s+(\\d+)`).exec(text) ?? [];
    return `${((Number(kib) * 1_024) / 1e6).toFixed(1)} MB`;
  };
  return `resident ${megabytes('VmRSS')}, anonymous ${megabytes('RssAnon')}`;
}

/** Asks for one name at a fixed rate, with real-time priority where this machine allows it. */
async function hits(program: string, port: number, file: string): Promise<Latency> {
  const asking = [program, String(port), file, String(HITS_PER_SECOND), String(SECONDS)];
  const argv = canSetPriority() ? ['chrt', '-f', String(CLIENT_PRIORITY), ...asking] : asking;
  const { stdout } = await promisify(execFile)(argv[0] as string, argv.slice(1));
  return JSON.parse(stdout) as Latency;
}

function corefile(port: number, metricsPort: number, url: string | undefined): string {
  const records =
    url === undefined ? '' : `kubernetes cluster.local in-addr.arpa {\nendpoint ${url}\n}`;
  return `.:${port} {\nbind 127.0.0.1\nprometheus 127.0.0.1:${metricsPort}\ncache\n${records}\nwhoami\n}\n`;
}

interface Agent {
  readonly child: ChildProcess;
  readonly folder: string;
  readonly port: number;
  readonly metricsPort: number;
}

async function withAgent(
  url: string | undefined,
  use: (agent: Agent) => Promise<void>,
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
    await use({ child, folder, port, metricsPort });
  } finally {
    await stopped(child);
    rmSync(folder, { recursive: true });
  }
}

/** Without it the figures have waits of the client in them. */
const canSetPriority = (): boolean => process.getuid?.() === 0;

const LAST_PROCESSOR = availableParallelism() - 1;

/** The agent's main thread gets the last processor, its helpers may use any; this program and `others` share the first one. */
function placeAll(agent: ChildProcess, others: readonly ChildProcess[]): void {
  const place = (all: string, processor: number, pid: number): void =>
    void execFileSync('taskset', [all, String(processor), String(pid)], { stdio: 'ignore' });
  place('-cp', LAST_PROCESSOR, agent.pid as number);
  if (canSetPriority())
    execFileSync('chrt', ['-f', '-p', String(AGENT_PRIORITY), String(agent.pid)]);
  for (const { pid } of others) place('-acp', 0, pid as number);
  place('-acp', 0, process.pid);
}

async function pausesOf(child: ChildProcess): Promise<Pauses> {
  child.send('tell');
  const [pauses] = (await once(child, 'message')) as [Pauses];
  return pauses;
}

async function counted(metricsPort: number, series: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  const lines = text.split('\n').filter((line) => line.startsWith(series));
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

const print = (text: string): void => void process.stdout.write(`${text}\n`);
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Hits in windows of both kinds, which take turns: first one, then the other comes first. */
async function rounds(
  server: ChildProcess,
  { child, port, folder }: Agent,
  perSecond: number,
): Promise<{ elsewhere: Windows; here: Windows }> {
  const [elsewhere, here] = [new Windows(), new Windows()];
  const program = compile('latency');
  const file = join(folder, 'questions');
  writeFileSync(file, `${WEB} A\n`);
  for (let round = 0; round < ROUNDS; round++) {
    const kinds = [
      { path: ELSEWHERE, windows: elsewhere },
      { path: SLICES, windows: here },
    ];
    for (const { path, windows } of round % 2 === 0 ? kinds : kinds.toReversed()) {
      await pausesOf(child);
      const sent = once(server, 'message');
      server.send({ path, perSecond } satisfies Order);
      const found = await hits(program, port, file);
      await sent;
      windows.add(found, await pausesOf(child));
    }
  }
  return { elsewhere, here };
}

/** Returns whether events make hits late. */
async function measure(size: Size, perSecond: number): Promise<boolean> {
  const start = (...args: readonly string[]): ChildProcess =>
    fork(fileURLToPath(import.meta.url), args);
  const server = start('serve', String(size.services), String(size.endpoints));
  const [url] = (await once(server, 'message')) as [string];
  const other = start('drain', url);
  let isLate = false;
  await withAgent(undefined, async ({ child }) => {
    await pause(5_000);
    print(`without kubernetes: ${memoryOf(child)}`);
  });
  await withAgent(url, async (agent) => {
    const { child, metricsPort } = agent;
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
    placeAll(child, [server, other]);
    const before = await counted(metricsPort, 'nodens_api_events_total');
    const { elsewhere, here } = await rounds(server, agent, perSecond);
    const read = (await counted(metricsPort, 'nodens_api_events_total')) - before;
    print(`${perSecond} events/s, ${ROUNDS} times ${SECONDS} s, ${read} read: ${memoryOf(child)}`);
    print(`events to another program\n${elsewhere.text}\nevents to the agent\n${here.text}`);
    const more = here.latePercents.map((late, i) => late - (elsewhere.latePercents[i] as number));
    isLate = median(more) > MOST_LATE_PERCENT;
    const verdict = `at most ${MOST_LATE_PERCENT} %: ${isLate ? 'missed' : 'met'}`;
    print(
      `hits that events made late, median of the rounds: ${median(more).toFixed(2)} %; ${verdict}`,
    );
  });
  server.kill();
  other.kill();
  return isLate;
}

const [mode = '', ...rest] = process.argv.slice(2);
const numbers = (mode === 'serve' ? rest : [mode, ...rest]).map(Number);
const [services = 5_000, endpoints = 20_000, perSecond = 2_000] = numbers.map(
  (n, i) => n || ([5_000, 20_000, 2_000][i] as number),
);
if (mode === 'drain') drain(rest[0] as string);
else if (mode === 'serve') await serve({ services, endpoints });
else if (await measure({ services, endpoints }, perSecond)) process.exitCode = 1;
