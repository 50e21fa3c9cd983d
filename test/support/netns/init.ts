/** The init under test and its node, for the netns tests. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually, type Netns, type Started, withNetns } from './netns.ts';

export const LINK_LOCAL = '169.254.20.10';

const path = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
/** The bundle of the image. */
export const INIT = path('../../../dist/init/main.js');
const DNS_ECHO = path('../dns/echo.ts');

/** Runs init to its end; resolves to its output, rejects where the exit code is not 0. */
export function runInit(space: Netns, ...args: readonly string[]): Promise<string> {
  return space.run(process.execPath, [INIT, ...args]);
}

export function startInit(
  space: Netns,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Started {
  return space.start(process.execPath, [INIT, ...args], env);
}

/** A rule of another program: with it, the node uses `iptables-legacy`. */
export const LEGACY_RULE = '-w 5 -t raw -A OUTPUT -p icmp -j ACCEPT'.split(' ');

/** A node, and a control socket for the init on it. */
export interface Room {
  readonly node: Netns;
  readonly socket: string;
  readonly args: readonly string[];
}

/** A new node and a folder for the control socket. */
export async function withRoom(work: (room: Room) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'nodens-init-'));
  const socket = join(folder, 'control.sock');
  try {
    await withNetns(['node'], (node) =>
      work({
        node,
        socket,
        args: ['--localip', LINK_LOCAL, '--syncinterval', '1s', '--socket', socket],
      }),
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Resolves when init has installed the standing rules. */
export async function startedInit(room: Room, ...more: string[]): Promise<Started> {
  const init = startInit(room.node, [...room.args, ...more]);
  await eventually('set up', () => init.output().includes('"msg":"set up"'));
  return init;
}

/** Whether the rules that redirect queries to the agent are present. */
export async function hasQueryTable(node: Netns): Promise<boolean> {
  return (await node.run('nft', ['list', 'tables'])).includes('nodens_query_');
}

/** Starts a DNS server that answers with `name` and resolves when it listens. */
export function startEcho(
  space: Netns,
  name: string,
  ...addresses: readonly string[]
): Promise<Started> {
  return startSlowEcho(space, name, 0, ...addresses);
}

/** As `startEcho`, with UDP answers that come `delayMs` late. */
export async function startSlowEcho(
  space: Netns,
  name: string,
  delayMs: number,
  ...addresses: readonly string[]
): Promise<Started> {
  const env = { DELAY_MS: String(delayMs) };
  const echo = space.start(process.execPath, [DNS_ECHO, name, ...addresses], env);
  await eventually(`${name} listens`, () => echo.output().includes('listening'));
  return echo;
}

/** The name of the `startEcho` that answers a query to `server`; undefined without an answer within a second. */
export async function whoAnswers(
  space: Netns,
  server: string,
  ...flags: readonly string[]
): Promise<string | undefined> {
  const args = [`@${server}`, '+short', '+tries=1', '+time=1', ...flags, 'name.test', 'TXT'];
  try {
    return (await space.run('dig', args)).replaceAll('"', '') || undefined;
  } catch {
    return undefined;
  }
}

const SNAPSHOTS = [
  ['nft', '-a', 'list', 'ruleset'],
  ['iptables-nft-save'],
  ['ip6tables-nft-save'],
  ['iptables-legacy-save'],
  ['ip6tables-legacy-save'],
  ['ip', '-j', 'addr', 'show'],
  ['ip', '-j', 'route', 'show', 'table', 'all'],
] as const;

/** Counters, and connections in sets with a timeout. */
const MOVING = /packets \d+ bytes \d+|\[\d+:\d+\]|^\s*elements = \{[^}]* expires [^}]*\}\n/gm;

/** Rules, addresses and routes of a node as text; without the parts that change by themselves. */
export async function snapshot(space: Netns): Promise<string> {
  const parts: string[] = [];
  for (const [program, ...args] of SNAPSHOTS) {
    const text = await space.run(program, args);
    parts.push(text.replaceAll(/^#.*$/gm, '').replaceAll(MOVING, ''));
  }
  return parts.join('\n---\n');
}

/** As `snapshot`, without the handles, which change with each write. */
export async function snapshotWithoutHandles(space: Netns): Promise<string> {
  return (await snapshot(space)).replaceAll(/ # handle \d+/g, '');
}

/** Rules of a crashed node-local-dns for these IPs, in its order and wording. */
export async function leaveNodeLocalDnsRules(
  space: Pick<Netns, 'run'>,
  iptables: string,
  ips: readonly string[],
): Promise<void> {
  const skip = 'NodeLocal DNS Cache: skip conntrack';
  const allow = 'NodeLocal DNS Cache: allow DNS traffic';
  for (const ip of ips) {
    const rules = (['tcp', 'udp'] as const).flatMap((protocol) => [
      ['raw', 'PREROUTING', protocol, '-d', '--dport', '53', 'NOTRACK', skip],
      ['filter', 'INPUT', protocol, '-d', '--dport', '53', 'ACCEPT', allow],
      ['raw', 'OUTPUT', protocol, '-s', '--sport', '53', 'NOTRACK', skip],
      ['filter', 'OUTPUT', protocol, '-s', '--sport', '53', 'ACCEPT', allow],
      ['raw', 'OUTPUT', protocol, '-d', '--dport', '53', 'NOTRACK', skip],
    ]);
    rules.push(['raw', 'OUTPUT', 'tcp', '-d', '--dport', '8080', 'NOTRACK', skip]);
    rules.push(['raw', 'OUTPUT', 'tcp', '-s', '--sport', '8080', 'NOTRACK', skip]);
    for (const [
      table,
      chain,
      protocol,
      side,
      portFlag,
      port,
      target,
      comment,
    ] of rules as string[][])
      await space.run(iptables, [
        ...['-w', '5', '-t', table as string, '-I', chain as string, '-p', protocol as string],
        ...[side as string, ip, portFlag as string, port as string, '-j', target as string],
        ...['-m', 'comment', '--comment', comment as string],
      ]);
  }
}
