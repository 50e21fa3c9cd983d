/** Pods and programs of the node send queries without a pause during a fault; records the result of each query. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Netns } from '../cluster/netns.ts';
import { V4 } from '../cluster/plan.ts';
import { must } from '../cluster/process/run.ts';
import { until } from '../cluster/process/wait.ts';
import type { Site } from '../cluster/site.ts';

const NAME = 'kubernetes.default.svc.cluster.local';
const SOURCE = new URL('../clients/background-load.c', import.meta.url).pathname;
const TCP_CLIENT = new URL('../clients/tcp-background-load.ts', import.meta.url).pathname;
/** From pod and host each, to each of the two addresses over UDP: 5,000 queries a second in all. */
const QUERIES_PER_SECOND = 1_250;
/** Over TCP, for each address: half of them keep one connection for all queries. */
const TCP_CLIENTS = 2;

/** The results of one kind of client at one address. */
export interface Seen {
  readonly where: 'pod' | 'host';
  readonly transport: 'udp' | 'tcp';
  readonly server: string;
  readonly sent: number;
  /** UDP: no answer without error within a second. TCP: none on a second connection either. */
  readonly lost: number;
  /** Longest time without an answer: from the first query without one to the next with one. */
  readonly gapMs: number;
  readonly slowestMs: number;
  /** UDP: how late the client itself was at worst. */
  readonly stallMs?: number;
}

/** Which clients; all by default. */
interface Choice {
  readonly wheres?: readonly Seen['where'][];
  readonly servers?: readonly string[];
}

type Report = Omit<Seen, 'where' | 'transport'>;

class Client {
  readonly #where: Seen['where'];
  readonly #transport: Seen['transport'];
  readonly #child: ChildProcess;
  #text = '';

  constructor(
    where: Seen['where'],
    transport: Seen['transport'],
    space: Netns,
    argv: readonly string[],
  ) {
    const [file = '', ...args] = space.argv(...argv);
    this.#where = where;
    this.#transport = transport;
    this.#child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      this.#text += chunk;
    });
  }

  get isAsking(): boolean {
    return this.#text !== '';
  }

  async stop(): Promise<Seen[]> {
    const closed = new Promise((resolve) => {
      this.#child.once('close', resolve);
    });
    this.#child.stdin?.end();
    await closed;
    const reports = JSON.parse(this.#text.split('\n')[1] ?? '') as Report[];
    return reports.map((report) => ({
      ...report,
      where: this.#where,
      transport: this.#transport,
    }));
  }
}

/** A pod's and the host's clients of the VIP and of the link-local address, over UDP and TCP. */
export class BackgroundLoad {
  readonly #clients: readonly Client[];

  private constructor(clients: readonly Client[]) {
    this.#clients = clients;
  }

  /** Resolves when all of them have been answered. */
  static async start(
    { cluster }: Site,
    { wheres = ['pod', 'host'], servers = [V4.vip, V4.local] }: Choice = {},
  ): Promise<BackgroundLoad> {
    const program = `${cluster.runDir}/background-load`;
    await must(['musl-gcc', '-static', '-O2', '-Wall', '-o', program, SOURCE]);
    const spaces = [
      ['pod', cluster.pods[0]],
      ['host', cluster.node],
    ] as const;
    const chosen = spaces.filter(([where]) => wheres.includes(where));
    const clients = chosen.flatMap(([where, space]) => [
      new Client(where, 'udp', space, [program, NAME, `${QUERIES_PER_SECOND}`, ...servers]),
      new Client(where, 'tcp', space, [
        ...[process.execPath, TCP_CLIENT, servers.join(), `${TCP_CLIENTS}`],
      ]),
    ]);
    await until('clients to be answered', () => clients.every(({ isAsking }) => isAsking));
    return new BackgroundLoad(clients);
  }

  async stop(): Promise<Seen[]> {
    return (await Promise.all(this.#clients.map((client) => client.stop()))).flat();
  }
}

/** UDP queries in `seen` without an answer. */
export function lostQueries(seen: readonly Seen[]): number {
  return seen.reduce((sum, { transport, lost }) => sum + (transport === 'udp' ? lost : 0), 0);
}

/**
 * What the machine may have added to a gap, milliseconds: the longest delay of a client, and the same, perhaps,
 * of a server.
 */
export function stallIn(seen: readonly Seen[]): number {
  return 2 * Math.max(0, ...seen.map(({ stallMs = 0 }) => stallMs));
}

/** UDP queries of all clients together in a millisecond. */
export const QUERIES_PER_MS = (4 * QUERIES_PER_SECOND) / 1_000;

/** `median 1.2, p90 3.4, max 5.6 of 40`. */
export function quantiles(values: readonly number[], digits = 1): string {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): string =>
    (sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0).toFixed(digits);
  return `median ${at(0.5)}, p90 ${at(0.9)}, max ${at(1)} of ${sorted.length}`;
}
