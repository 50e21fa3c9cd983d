/** An unbound that serves zones on port 53 of a namespace and records each query with its client and transport. */
import { mkdirSync, writeFileSync } from 'node:fs';
import type { Netns } from './netns.ts';
import { Daemon } from './process/process.ts';
import { until } from './process/wait.ts';
import { type LoggedQuery, QueryLog } from './query-log.ts';
import type { Zone } from './zones.ts';

export const TRANSPORTS = ['udp', 'tcp'] as const;
export type Transport = (typeof TRANSPORTS)[number];

/** One query a name server received. */
export interface Asked extends LoggedQuery {
  readonly server: string;
  readonly transport: Transport;
}

export interface NameserverOptions {
  readonly name: string;
  readonly netns: Netns;
  readonly addresses: readonly string[];
  readonly runDir: string;
}

/**
 * unbound's query log does not name the transport, so UDP and TCP are two processes with a log each. This also lets
 * one transport fail alone.
 */
export class Nameserver {
  readonly name: string;
  readonly #options: NameserverOptions;
  readonly #dir: string;
  #processes: ReadonlyMap<Transport, Daemon> = new Map();
  readonly #queries = new Map<Transport, QueryLog>();

  constructor(options: NameserverOptions) {
    this.name = options.name;
    this.#options = options;
    this.#dir = `${options.runDir}/${options.name}`;
  }

  get running(): boolean {
    return [...this.#processes.values()].some((daemon) => daemon.running);
  }

  /** Starts serving `zones`; resolves when both transports listen. */
  async start(zones: readonly Zone[]): Promise<void> {
    mkdirSync(this.#dir, { recursive: true });
    const { netns, name } = this.#options;
    // Before either process: neither must read a file that is written for the other.
    for (const zone of zones) writeFileSync(this.#zoneFile(zone), zone.text);
    const started = TRANSPORTS.map((transport): [Transport, Daemon] => {
      const conf = `${this.#dir}/${transport}.conf`;
      writeFileSync(conf, this.#conf(transport, zones));
      const argv = ['unbound', '-d', '-c', conf];
      const logFile = `${this.#dir}/${transport}.log`;
      if (!this.#queries.has(transport)) this.#queries.set(transport, new QueryLog(logFile));
      return [transport, new Daemon({ name: `${name}/${transport}`, netns, argv, logFile })];
    });
    this.#processes = new Map(started);
    await until(
      `${name} to listen`,
      () => this.#listens(),
      30_000,
      () => this.#logs(),
    );
  }

  /** Ends it: connection attempts are refused from then on. */
  async stop(): Promise<void> {
    await Promise.all([...this.#processes.values()].map((daemon) => daemon.stop('SIGKILL')));
  }

  /** Makes it hang: it accepts packets and connections and never answers. */
  freeze(transports: readonly Transport[] = TRANSPORTS): void {
    for (const transport of transports) this.#processes.get(transport)?.signal('SIGSTOP');
  }

  /** Ends the hang; queued queries are answered then. */
  thaw(transports: readonly Transport[] = TRANSPORTS): void {
    for (const transport of transports) this.#processes.get(transport)?.signal('SIGCONT');
  }

  /** Every query received since the first start. A query is logged before it is answered. */
  asked(): Asked[] {
    return [...this.#queries].flatMap(([transport, log]) =>
      log.read().map((query) => ({ server: this.name, transport, ...query })),
    );
  }

  /** Those for `name`: lower-case, with its last dot. */
  askedAbout(name: string): Asked[] {
    return [...this.#queries].flatMap(([transport, log]) =>
      log
        .read()
        .filter((query) => query.name === name)
        .map((query) => ({ server: this.name, transport, ...query })),
    );
  }

  async #listens(): Promise<boolean> {
    const { stdout } = await this.#options.netns.run(['ss', '-Hlnut']);
    const port53 = (kind: string): boolean =>
      this.#options.addresses.every((address) =>
        stdout.split('\n').some((line) => {
          const local = line.split(/\s+/)[4];
          return (
            line.startsWith(kind) && (local === `${address}:53` || local === `[${address}]:53`)
          );
        }),
      );
    return TRANSPORTS.every(port53);
  }

  #logs(): string {
    return [...this.#processes.values()].map((daemon) => daemon.log()).join('\n');
  }

  #conf(transport: Transport, zones: readonly Zone[]): string {
    const server = {
      directory: `"${this.#dir}"`,
      chroot: '""',
      username: '""',
      pidfile: '""',
      logfile: '""',
      'use-syslog': 'no',
      'do-daemonize': 'no',
      'num-threads': '1',
      'module-config': '"iterator"',
      'do-udp': transport === 'udp' ? 'yes' : 'no',
      'do-tcp': transport === 'tcp' ? 'yes' : 'no',
      'tcp-idle-timeout': '60000',
      // As with CoreDNS, no client waits for a connection: unbound's own limit is ten.
      'incoming-num-tcp': '500',
      // With shared processors it loses no more queries than with its own.
      'so-rcvbuf': '4m',
      'log-queries': 'yes',
      'log-tag-queryreply': 'yes',
      'unblock-lan-zones': 'yes',
      'access-control': '0.0.0.0/0 allow',
    };
    const lines = Object.entries(server).map(([key, value]) => `  ${key}: ${value}`);
    for (const address of this.#options.addresses) lines.push(`  interface: ${address}`);
    lines.push('  access-control: ::/0 allow');
    return ['server:', ...lines, ...zones.flatMap((zone) => this.#zone(zone))].join('\n');
  }

  /** Zones are not answered directly: the iterator finds them and follows CNAMEs from one into the other. */
  #zone(zone: Zone): string[] {
    return [
      'auth-zone:',
      `  name: "${zone.origin}"`,
      `  zonefile: "${this.#zoneFile(zone)}"`,
      `  for-downstream: ${zone.authoritative ? 'yes' : 'no'}`,
      '  for-upstream: yes',
    ];
  }

  #zoneFile({ origin }: Zone): string {
    return `${this.#dir}/${origin === '.' ? 'root' : origin}zone`;
  }
}
