/** nodens as built, on loopback, with an upstream that answers everything: the target of an attack. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../free-port.ts';
import { parsePage } from '../metrics/page.ts';
import { MemoryGroup } from '../netns/memory-group.ts';
import { eventually } from '../netns/netns.ts';
import { isRoot } from '../packages.ts';
import { stopped } from '../server/subject.ts';
import { type Script, startServer } from '../upstream/server.ts';
import { ask } from './pod/neighbour.ts';
import { scrape } from './scrape.ts';
import { undelayed } from './undelayed.ts';
import type { Upstream } from './upstream.ts';

const NODENS = fileURLToPath(new URL('../../../dist/agent/main.js', import.meta.url));
const MEBI = 2 ** 20;
/** As a container with a CPU request beside containers without: an attacker's process does not take its CPU. */
const BEFORE_OTHERS = isRoot ? ['nice', '-n', '-20'] : [];

export interface Ports {
  readonly dns: number;
  readonly metrics: number;
  readonly upstream: number;
}

export interface AgentOptions {
  /** Within a memory limit, where this machine allows a test to set one. */
  readonly limitMebi?: number;
  readonly corefile?: (ports: Ports) => string;
  /** Closed with the agent; by default one in this process that answers everything. */
  readonly upstream?: Upstream;
  /** More arguments; the limit of open descriptors. */
  readonly args?: readonly string[];
  readonly descriptors?: number;
  /** As its clients: where latencies are compared, no other process of this machine delays it. */
  readonly isUndelayed?: boolean;
}

export interface HostileAgent {
  readonly ports: Ports;
  readonly pid: number;
  /** Path of its Corefile. */
  readonly conf: string;
  readonly isRunning: boolean;
  /** Of the agent alone, bytes. */
  readonly residentBytes: number;
  /** Memory that the kernel cannot reclaim: the agent's own pages and the kernel's memory for it; bytes. */
  readonly neededBytes: number;
  /** Processes in its memory group that the kernel has killed; 0 where there is none. */
  readonly oomKills: number;
  /** Its output so far. */
  log(): string;
  /** Sum of the samples of `name` that have `labels`. */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
  stop(): Promise<void>;
  /** As `stop`, without waiting for pending answers. */
  kill(): Promise<void>;
}

const COREFILE = ({ dns, metrics, upstream }: Ports): string => `.:${dns} {
  bind 127.0.0.1
  errors
  cache
  prometheus 127.0.0.1:${metrics}
  health 127.0.0.1:${metrics}
  forward . 127.0.0.1:${upstream}
}
`;

/** Resolves when it answers. */
export async function startAgent(options: AgentOptions = {}): Promise<HostileAgent> {
  const folder = mkdtempSync(join(tmpdir(), 'nodens-hostile-'));
  const answerAll: Script = (asked) => asked.answer({ address: [192, 0, 2, 1] });
  const upstream = options.upstream ?? (await startServer(answerAll));
  const ports = { dns: await freePort(), metrics: await freePort(), upstream: upstream.port };
  const group = options.limitMebi === undefined ? undefined : MemoryGroup.make();
  group?.limit((options.limitMebi ?? 0) * MEBI);
  const conf = join(folder, 'Corefile');
  writeFileSync(conf, (options.corefile ?? COREFILE)(ports));
  const { args: more = [], descriptors } = options;
  const program = [process.execPath, NODENS, 'agent', '-conf', conf, '-basecorefile='];
  const realTime = options.isUndelayed === true ? undelayed('agent') : [];
  const first = realTime.length > 0 ? realTime : BEFORE_OTHERS;
  const bare = [...first, ...program, ...more];
  const argv = descriptors === undefined ? bare : ['prlimit', `--nofile=${descriptors}`, ...bare];
  const [file = '', ...args] = group === undefined ? argv : group.command(argv);
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const agent = agentOf(child, ports, { conf, folder, group, upstream });
  try {
    await eventually('the agent answers', async () => (await ask(ports.dns)) !== undefined);
    return agent;
  } catch (error) {
    await agent.stop();
    throw error;
  }
}

interface Around {
  readonly conf: string;
  readonly folder: string;
  readonly group: MemoryGroup | undefined;
  readonly upstream: Upstream;
}

function agentOf(child: ChildProcess, ports: Ports, around: Around): HostileAgent {
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  return {
    ports,
    pid: child.pid as number,
    conf: around.conf,
    get isRunning() {
      return child.exitCode === null && child.signalCode === null;
    },
    get residentBytes() {
      return statusBytes(child, 'VmRSS');
    },
    get neededBytes() {
      return statusBytes(child, 'RssAnon') + (around.group?.kernelBytes ?? 0);
    },
    get oomKills() {
      return around.group?.oomKills ?? 0;
    },
    log: () => text,
    metric: async (name, labels = {}) => {
      const { body } = await scrape(ports.metrics, '127.0.0.9');
      const samples = parsePage(body).get(name)?.samples ?? [];
      return samples
        .filter((sample) => Object.entries(labels).every(([k, v]) => sample.labels[k] === v))
        .reduce((sum, { value }) => sum + value, 0);
    },
    stop: async () => {
      await stopped(child);
      await cleared(around);
    },
    kill: async () => {
      const isGone = child.exitCode !== null || child.signalCode !== null;
      if (!isGone && child.kill('SIGKILL')) await once(child, 'exit');
      await cleared(around);
    },
  };
}

async function cleared({ folder, group, upstream }: Around): Promise<void> {
  await upstream.close();
  await group?.remove();
  rmSync(folder, { recursive: true });
}

function statusBytes({ pid }: ChildProcess, line: string): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`^${line}:\\s*(\\d+) kB`, 'm').exec(status)?.[1]) * 1_024;
}
