/**
 * The servers of the conformance suite, all on loopback: an unbound that knows two zones, an unbound and a dnsdist that
 * forward to it, and the subject. That is nodens as built, or `DNS_TEST_SUBJECT=host:port`, which must forward
 * everything to port 5399 of 127.0.0.1, or to `DNS_TEST_UPSTREAM_PORT`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FrameReader, frame } from '../../../agent/dns/frame.ts';
import { freePort } from '../free-port.ts';
import { eventually } from '../netns/netns.ts';
import { queryWire } from './fixture.ts';

const NODENS = fileURLToPath(new URL('../../../dist/agent/main.js', import.meta.url));
/** The upstream that a given subject must use. */
const GIVEN_UPSTREAM_PORT = process.env.DNS_TEST_UPSTREAM_PORT ?? '5399';

export interface Target {
  readonly host: string;
  readonly port: number;
}

/** unbound resolves and caches, dnsdist forwards and caches packets. */
export const PEERS = ['unbound', 'dnsdist'] as const;
export type PeerName = (typeof PEERS)[number];

/** Identity of the server for clients. */
export const IDENTITY = { version: 'conformance', node: 'node-7' } as const;

export interface Site {
  readonly subject: Target;
  /** Other servers in place of the subject. */
  readonly peers: Readonly<Record<PeerName, Target>>;
  /** Server that knows the zones. */
  readonly upstream: Target;
  /** Resident memory of the subject, bytes; undefined where it was given and not started. */
  residentBytes(): number | undefined;
  stop(): Promise<void>;
}

/** Names in an authority's letter case that refer to each other. */
const CHAIN = `$ORIGIN chain.test.
$TTL 300
@ SOA ns.chain.test. root.chain.test. 1 2 3 4 60
@ NS ns.chain.test.
start CNAME MidDle
middle CNAME EnD.ChAin.test.
end A 192.0.2.7
`;

/** 40 TXT records of 100 bytes: larger than every UDP size asked for. */
const BIG = Array.from({ length: 40 }, (_, i) => `big TXT "${String(i).padStart(100, 'x')}"`);
const ZONE = [
  ...['a A 192.0.2.1', 'a AAAA 2001:db8::1', 'short A 192.0.2.2', 'alias CNAME a.conf.test.'],
  ...['odd TYPE65400 \\# 3 010203', 'many A 192.0.2.3', 'many A 192.0.2.4', ...BIG],
];

/** "test." is empty by default (RFC 6761); without "snoop" questions without RD are refused. */
function unboundConf(port: number, folder: string, body: string): string {
  return `server:
  interface: 127.0.0.1
  port: ${port}
  username: ""
  chroot: ""
  directory: "${folder}"
  pidfile: ""
  use-syslog: no
  do-not-query-localhost: no
  access-control: 127.0.0.0/8 allow_snoop
  module-config: "iterator"
  minimal-responses: yes
  num-threads: 1
  incoming-num-tcp: 200
  local-zone: "test." nodefault
  version: "${IDENTITY.version}"
  nsid: "ascii_${IDENTITY.node}"
${body}`;
}

function zoneConf(port: number, folder: string): string {
  const data = ZONE.map((line) => {
    const [name, ...rest] = line.split(' ');
    const ttl = name === 'short' ? 2 : 300;
    return `  local-data: '${name}.conf.test. ${ttl} IN ${rest.join(' ')}'`;
  });
  const soa = `  local-data: 'conf.test. 300 IN SOA ns.conf.test. root.conf.test. 1 2 3 4 60'`;
  writeFileSync(join(folder, 'chain.zone'), CHAIN);
  const chain = 'auth-zone:\n  name: "chain.test."\n  zonefile: "chain.zone"';
  const zone = ['  local-zone: "conf.test." static', soa, ...data, chain].join('\n');
  return unboundConf(port, folder, `${zone}\n`);
}

function start(program: string, args: readonly string[]): ChildProcess {
  return spawn(program, args, { stdio: 'ignore' });
}

function dnsdistConf({ host, port }: Target, upstreamPort: number): string {
  return `setLocal('${host}:${port}')
setSecurityPollSuffix('')
newServer({address='127.0.0.1:${upstreamPort}'}):setUp()
getPool(''):setCache(newPacketCache(1000))
`;
}

/** Starts unbound and dnsdist as they forward to `upstreamPort`; their files are in `folder`. */
export async function startPeers(
  folder: string,
  upstreamPort: number,
): Promise<{ readonly peers: Site['peers']; readonly children: readonly ChildProcess[] }> {
  const [unbound, dnsdist] = [
    { host: '127.0.0.1', port: await freePort() },
    { host: '127.0.0.1', port: await freePort() },
  ];
  const forward = `forward-zone:\n  name: "."\n  forward-addr: 127.0.0.1@${upstreamPort}\n`;
  writeFileSync(join(folder, 'peer.conf'), unboundConf(unbound.port, folder, forward));
  writeFileSync(join(folder, 'dnsdist.conf'), dnsdistConf(dnsdist, upstreamPort));
  const children = [
    start('unbound', ['-d', '-c', join(folder, 'peer.conf')]),
    start('dnsdist', ['--supervised', '--disable-syslog', '-C', join(folder, 'dnsdist.conf')]),
  ];
  return { peers: { unbound, dnsdist }, children };
}

/** Resolves when `target` answers for the zone. */
export function answers(target: Target): Promise<void> {
  return eventually(`${target.port} answers`, async () => {
    return (await overUdp(target, queryWire('ready.conf.test', 1), 200)) !== undefined;
  });
}

export async function startSite(): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), 'nodens-conformance-'));
  const given = process.env.DNS_TEST_SUBJECT;
  const upstreamPort = given === undefined ? await freePort() : Number(GIVEN_UPSTREAM_PORT);
  const upstream = { host: '127.0.0.1', port: upstreamPort };
  writeFileSync(join(folder, 'zone.conf'), zoneConf(upstreamPort, folder));
  const started = await startPeers(folder, upstreamPort);
  const { peers } = started;
  const children = [start('unbound', ['-d', '-c', join(folder, 'zone.conf')]), ...started.children];
  let subject: Target;
  let nodens: ChildProcess | undefined;
  if (given === undefined) {
    subject = { host: '127.0.0.1', port: await freePort() };
    nodens = start(process.execPath, [
      NODENS,
      'agent',
      '-conf',
      corefile(folder, subject, upstreamPort),
    ]);
    children.push(nodens);
  } else {
    const at = given.lastIndexOf(':');
    subject = { host: given.slice(0, at), port: Number(given.slice(at + 1)) };
  }
  const stop = async (): Promise<void> => {
    await Promise.all(children.map(stopped));
    rmSync(folder, { recursive: true });
  };
  try {
    for (const target of [upstream, ...Object.values(peers), subject]) await answers(target);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    ...{ subject, peers, upstream },
    residentBytes: () => (nodens === undefined ? undefined : residentBytes(nodens.pid as number)),
    stop,
  };
}

function corefile(folder: string, { host, port }: Target, upstreamPort: number): string {
  const path = join(folder, 'Corefile');
  writeFileSync(
    path,
    `.:${port} {
  bind ${host}
  errors
  chaos ${IDENTITY.version}
  any
  nsid ${IDENTITY.node}
  acl {
    block type LOC
    filter type HINFO
    drop type RP
  }
  loadbalance
  cache
  forward . 127.0.0.1:${upstreamPort}
}
`,
  );
  return path;
}

export function stopped(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    child.once('exit', () => resolve());
    child.kill('SIGTERM');
  });
}

function residentBytes(pid: number): number {
  const [, kib = '0'] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kib) * 1_024;
}

/** The response to one datagram, or undefined where none comes within `waitMs`. */
export function overUdp(to: Target, wire: Buffer, waitMs = 3_000): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(to.host.includes(':') ? 'udp6' : 'udp4');
    const finish = (response?: Buffer): void => {
      clearTimeout(timer);
      socket.close();
      resolve(response);
    };
    const timer = setTimeout(finish, waitMs);
    socket.on('error', () => undefined);
    socket.on('message', finish);
    socket.send(wire, to.port, to.host);
  });
}

/** The response to one framed message, or undefined where none comes within `waitMs`. */
export function overTcp(to: Target, wire: Buffer, waitMs = 3_000): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = connect(to.port, to.host);
    const frames = new FrameReader();
    const finish = (response?: Buffer): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(response === undefined ? undefined : Buffer.from(response));
    };
    const timer = setTimeout(finish, waitMs);
    socket.on('error', () => finish());
    socket.on('end', () => finish());
    socket.on('data', (chunk) => frames.push(chunk, finish));
    socket.write(frame(wire));
  });
}
