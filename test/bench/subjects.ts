/** The compared servers, each set up for one core as its manual recommends. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasProgram } from '../support/packages.ts';
import type { Command } from './process.ts';
import { launcherProgram, MAIN } from './programs/compile.ts';

/** Options of a server: upstream over UDP, over TCP, or a line for every query. */
export type Setup = 'plain' | 'tcp-upstream' | 'log';

export interface Place {
  /** The server's folder for configuration files. */
  readonly dir: string;
  readonly port: number;
  readonly upstreamPort: number;
  readonly setup: Setup;
}

export interface Subject {
  readonly name: string;
  readonly setups: readonly Setup[];
  readonly answersTcp: boolean;
  /** Whether it resolves queries. */
  readonly resolves: boolean;
  command(place: Place): Command;
}

const ALL: readonly Setup[] = ['plain', 'tcp-upstream', 'log'];
/** Capacity of every cache: more than any scenario but the misses needs. */
const CAPACITY = 30_000;

/** From the port of a nodens to that of its metrics. */
export const METRICS_PORT_OFFSET = 10_000;

function written(place: Place, name: string, text: string): string {
  const path = join(place.dir, name);
  writeFileSync(path, text);
  return path;
}

const baseline = (binary: string): Subject => ({
  name: 'baseline',
  setups: ['plain'],
  answersTcp: false,
  resolves: false,
  command: ({ port }) => ({ argv: [binary, String(port)] }),
});

function corefile(place: Place, more: string): string {
  const { port, upstreamPort, setup } = place;
  return `.:${port} {
    bind 127.0.0.1
    errors
    ${setup === 'log' ? 'log' : ''}
    loop
    cache {
        success ${CAPACITY} 3600
        denial ${CAPACITY} 1800
    }
    forward . 127.0.0.1:${upstreamPort} {
        ${setup === 'tcp-upstream' ? 'force_tcp' : 'prefer_udp'}
    }
    prometheus 127.0.0.1:${port + METRICS_PORT_OFFSET}
    ${more}
}
`;
}

export interface NodensOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Flags of Node. With them nodens starts without the launcher of the image, which passes none on. */
  readonly nodeFlags?: readonly string[];
  /** Flags of nodens, and further directives of its block. */
  readonly args?: (place: Place) => readonly string[];
  readonly more?: (place: Place) => string;
}

export const nodens = (
  name: string,
  { env = {}, nodeFlags = [], args = () => [], more = () => '' }: NodensOptions,
): Subject => ({
  name,
  setups: ALL,
  answersTcp: true,
  resolves: true,
  command: (place) => ({
    argv: [
      ...(nodeFlags.length === 0 ? [launcherProgram()] : [process.execPath, ...nodeFlags, MAIN]),
      ...['agent', '-conf', written(place, 'Corefile', corefile(place, more(place))), '-quiet'],
      ...args(place),
    ],
    env,
  }),
});

const unbound: Subject = {
  name: 'unbound',
  setups: ALL,
  answersTcp: true,
  resolves: true,
  command: (place) => ({
    argv: [
      ...['/usr/sbin/unbound', '-d', '-c'],
      written(
        place,
        'unbound.conf',
        `server:
  interface: 127.0.0.1
  port: ${place.port}
  username: ""
  chroot: ""
  directory: "${place.dir}"
  pidfile: ""
  use-syslog: no
  num-threads: 1
  module-config: "iterator"
  do-not-query-localhost: no
  so-rcvbuf: 4m
  incoming-num-tcp: 200
  outgoing-num-tcp: 100
  outgoing-range: 4096
  num-queries-per-thread: 2048
  log-queries: ${place.setup === 'log' ? 'yes' : 'no'}
  tcp-upstream: ${place.setup === 'tcp-upstream' ? 'yes' : 'no'}
remote-control:
  control-enable: no
forward-zone:
  name: "."
  forward-addr: 127.0.0.1@${place.upstreamPort}
`,
      ),
    ],
  }),
};

const dnsmasq: Subject = {
  name: 'dnsmasq',
  setups: ['plain', 'log'],
  answersTcp: true,
  resolves: true,
  command: ({ port, upstreamPort, setup }) => ({
    argv: [
      ...['/usr/sbin/dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null', '--user=root'],
      ...['--no-resolv', '--no-hosts', '--bind-interfaces', '--listen-address=127.0.0.1'],
      ...[`--port=${port}`, `--server=127.0.0.1#${upstreamPort}`, '--pid-file='],
      ...[`--cache-size=${CAPACITY}`, '--dns-forward-max=2000'],
      ...(setup === 'log' ? ['--log-queries', '--log-facility=-'] : []),
    ],
  }),
};

const pdnsRecursor: Subject = {
  name: 'pdns-recursor',
  setups: ['plain', 'log'],
  answersTcp: true,
  resolves: true,
  command: ({ dir, port, upstreamPort, setup }) => ({
    argv: [
      ...['/usr/sbin/pdns_recursor', '--daemon=no', '--local-address=127.0.0.1'],
      ...[`--local-port=${port}`, `--forward-zones-recurse=.=127.0.0.1:${upstreamPort}`],
      ...['--threads=1', '--pdns-distributes-queries=no', `--socket-dir=${dir}`],
      ...[`--config-dir=${dir}`, '--dont-query=', '--dnssec=off', '--write-pid=no'],
      ...['--max-tcp-clients=200', '--max-tcp-per-client=0', '--disable-syslog'],
      ...(setup === 'log' ? ['--quiet=no', '--log-common-errors=yes'] : ['--quiet=yes']),
    ],
  }),
};

/** `BENCH_PEER_<NAME>="command with {port} {upstream}"`: an additional server, run by a shell that it replaces. */
function peers(): Subject[] {
  return Object.entries(process.env)
    .filter(([name]) => name.startsWith('BENCH_PEER_'))
    .map(([name, command = '']) => ({
      name: name.slice('BENCH_PEER_'.length).toLowerCase().replaceAll('_', '-'),
      setups: ['plain'],
      answersTcp: true,
      resolves: true,
      command: ({ port, upstreamPort }) => ({
        argv: [
          ...['/bin/sh', '-c'],
          `exec ${command.replaceAll('{port}', String(port)).replaceAll('{upstream}', `127.0.0.1:${upstreamPort}`)}`,
        ],
      }),
    }));
}

/** Debian packages of the peers, by program. */
export const PEER_PACKAGES: Readonly<Record<string, string>> = {
  dnsperf: 'dnsperf',
  gcc: 'gcc',
  unbound: 'unbound',
  dnsmasq: 'dnsmasq-base',
  pdns_recursor: 'pdns-recursor',
};

/** All servers to compare; Debian's servers where they are installed. */
export function subjects(baselineBinary: string): Subject[] {
  const debian = { unbound, dnsmasq, pdns_recursor: pdnsRecursor };
  return [
    baseline(baselineBinary),
    nodens('nodens', {}),
    nodens('nodens-dgram', { env: { NODENS_UDP: 'dgram' } }),
    ...Object.entries(debian).flatMap(([program, subject]) =>
      hasProgram(program) ? [subject] : [],
    ),
    ...peers(),
  ];
}
