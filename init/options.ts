/** The command line of init. */
import { Command, CommanderError } from 'commander';
import { addressBytes, familyOf, formatAddress, parsePort } from '../agent/base/address.ts';
import { CONTROL_SOCKET_ENV, DEFAULT_CONTROL_SOCKET } from '../agent/base/control.ts';
import { parseSyncIntervalMs } from '../agent/base/duration.ts';
import { UsageError } from '../agent/base/errors.ts';
import type { BackendWish } from './choose.ts';
import { isHostName } from './endpoints/message.ts';
import type { PortRange } from './plan.ts';

export type InitMode = 'run' | 'once' | 'cleanup' | 'observe';

export interface InitOptions {
  readonly mode: InitMode;
  /** Canonical text, no doubles; empty only for cleanup. */
  readonly localIps: readonly string[];
  readonly port: number;
  readonly healthPort: number | undefined;
  readonly interfaceName: string;
  readonly setupInterface: boolean;
  readonly setupRules: boolean;
  readonly skipTeardown: boolean;
  readonly syncIntervalMs: number;
  readonly backend: BackendWish;
  /** ClusterIPs of kube-dns that were asked for, at most one of a family; canonical text. */
  readonly clusterDns: readonly string[];
  /** Full name of the headless Service in front of kube-dns; undefined: the fallback never leads to endpoints. */
  readonly fallbackService: string | undefined;
  /** A single bit. */
  readonly fallbackMark: number;
  /** Another single bit. */
  readonly aliveMark: number;
  readonly probePorts: PortRange;
  /** Intercept although the data path looks as if it would not care. */
  readonly force: boolean;
  readonly socketPath: string;
  /** Folder that the agent shall be able to write its snapshot to; undefined: none is looked after. */
  readonly stateDir: string | undefined;
  /** Arguments of the agent to run as child, undefined to run none. */
  readonly supervise: readonly string[] | undefined;
}

export const USAGE = 'usage: nodens init --localip IP[,IP…] [options] [--supervise -- AGENT-ARG…]';

/** Text of `--help`. */
export function helpText(): string {
  return program().helpInformation();
}

/** Options of `argv` (without node and script). Throws `UsageError` with the flag and the reason. */
export function initOptionsFrom(argv: readonly string[]): InitOptions {
  const end = argv.indexOf('--');
  const own = end === -1 ? argv : argv.slice(0, end);
  const flags = parse(own);
  const supervise = flags.supervise === true;
  if (supervise !== (end !== -1)) throw new UsageError('--supervise and -- AGENT-ARG… go together');
  return optionsOf(flags, supervise ? argv.slice(end + 1) : undefined);
}

interface Flags {
  readonly localip?: string;
  readonly setupinterface: string | true;
  readonly setupiptables: string | true;
  readonly interfacename: string;
  readonly syncinterval: string;
  readonly healthPort: string;
  readonly skipteardown?: string | true;
  readonly 'dns.port': string;
  readonly port?: string;
  readonly socket: string;
  readonly statedir?: string;
  readonly backend: string;
  readonly clusterdns?: string;
  readonly fallbackService: string;
  readonly fallbackMark: string;
  readonly aliveMark?: string;
  readonly probePort: string;
  readonly force?: string | true;
  readonly once?: true;
  readonly cleanup?: true;
  readonly observe?: true;
  readonly supervise?: true;
}

function program(): Command {
  return new Command('nodens init')
    .usage('--localip IP[,IP…] [options] [--supervise -- AGENT-ARG…]')
    .description(
      'Puts the local IPs on the node, leads DNS queries to the agent while it answers, and cleans up.',
    )
    .option('--localip <ips>', 'local IPs, comma-separated, IPv4 and IPv6')
    .option('--setupinterface [bool]', 'put the local IPs on a link', 'true')
    .option('--setupiptables [bool]', 'install the rules, by nft or iptables', 'true')
    .option('--interfacename <name>', 'link for the local IPs; a dummy is made if missing', 'lo')
    .option('--syncinterval <time>', 'how often everything is checked: 60, 60s, 1m', '60s')
    .option('--health-port <port>', "agent's health port on the local IPs, 0 for none", '8080')
    .option('--skipteardown [bool]', 'on exit leave the rules that die with the agent')
    .option('--dns.port <port>', "agent's DNS port", '53')
    .option('--port <port>', 'same as --dns.port')
    .option('--socket <path>', 'control socket for the agent', defaultSocket())
    .option('--statedir <dir>', "folder on the node for the agent's snapshot, made writable for it")
    .option('--backend <name>', 'auto, nft or iptables', 'auto')
    .option('--clusterdns <ips>', 'ClusterIP of kube-dns, one of a family, for the fallback')
    .option(
      '--fallback-service <name>',
      "headless Service of kube-dns, for nodes without kube-proxy's rules",
      FALLBACK_SERVICE,
    )
    .option('--fallback-mark <bit>', 'bit of the packet mark for the fallback', '0x1000')
    .option(
      '--alive-mark <bit>',
      `bit of the packet mark of queries while an agent lives (${ALIVE_MARKS[0]})`,
    )
    .option('--probe-port <port>', 'first of 8 source ports for probes', String(PROBE_PORT))
    .option('--force [bool]', 'intercept beside an eBPF data path or IPVS, too')
    .option('--once', 'set up and exit: pods only, while a socket is bound')
    .option('--cleanup', 'remove all of nodens and what a node-local-dns left, and exit')
    .option('--observe', 'print what would be done, change nothing')
    .option('--supervise', 'run the agent as unprivileged child with the arguments after --')
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ writeErr: () => undefined, writeOut: () => undefined });
}

/** As our manifests name it, in the domain that clusters mostly have. */
const FALLBACK_SERVICE = 'nodens-endpoints.kube-system.svc.cluster.local';
/** Below the ports that Linux gives out by itself. */
const PROBE_PORT = 20_253;
/** During an upgrade two inits probe; the rest is spare. */
const PROBE_PORTS = 8;

function defaultSocket(): string {
  return process.env[CONTROL_SOCKET_ENV] ?? DEFAULT_CONTROL_SOCKET;
}

function parse(argv: readonly string[]): Flags {
  try {
    return program().parse(argv, { from: 'user' }).opts<Flags>();
  } catch (error) {
    if (error instanceof CommanderError)
      throw new UsageError(error.message.replace(/^error: /, ''));
    throw error;
  }
}

function optionsOf(flags: Flags, supervise: readonly string[] | undefined): InitOptions {
  const mode = modeOf(flags);
  const localIps = addressesOf('--localip', flags.localip ?? '');
  if (localIps.length === 0 && mode !== 'cleanup') throw new UsageError('--localip is missing');
  if (supervise !== undefined && mode !== 'run')
    throw new UsageError(`--supervise does not go with --${mode}`);
  return {
    mode,
    localIps,
    port: port('--dns.port', flags.port ?? flags['dns.port']),
    healthPort: flags.healthPort === '0' ? undefined : port('--health-port', flags.healthPort),
    interfaceName: linkName(flags.interfacename),
    setupInterface: truth('--setupinterface', flags.setupinterface),
    setupRules: truth('--setupiptables', flags.setupiptables),
    skipTeardown: truth('--skipteardown', flags.skipteardown ?? 'false'),
    syncIntervalMs: interval(flags.syncinterval),
    backend: oneOf('--backend', flags.backend, ['auto', 'nft', 'iptables']),
    clusterDns: oneOfFamily('--clusterdns', addressesOf('--clusterdns', flags.clusterdns ?? '')),
    fallbackService: serviceName('--fallback-service', flags.fallbackService),
    ...marks(flags),
    probePorts: portRange('--probe-port', flags.probePort),
    force: truth('--force', flags.force ?? 'false'),
    socketPath: flags.socket,
    stateDir: absolute('--statedir', flags.statedir),
    supervise,
  };
}

function modeOf(flags: Flags): InitMode {
  const asked = (['once', 'cleanup', 'observe'] as const).filter((mode) => flags[mode] === true);
  if (asked.length > 1) throw new UsageError(`--${asked.join(' and --')} exclude each other`);
  return asked[0] ?? 'run';
}

function addressesOf(flag: string, list: string): string[] {
  if (list === '') return [];
  const addresses = list.split(',').map((text) => {
    const address = text.trim();
    if (familyOf(address) === undefined || address.includes('%'))
      throw new UsageError(`${flag}: ${JSON.stringify(address)} is not an IP address`);
    return formatAddress(addressBytes(address));
  });
  return [...new Set(addresses)];
}

function oneOfFamily(flag: string, addresses: string[]): string[] {
  const families = new Set(addresses.map(familyOf));
  if (families.size === addresses.length) return addresses;
  throw new UsageError(`${flag}: more than one address of a family`);
}

function absolute(flag: string, path: string | undefined): string | undefined {
  if (path === undefined || (path.startsWith('/') && path !== '/')) return path;
  throw new UsageError(`${flag}: ${path} is not the absolute path of a folder`);
}

/** A full name, with or without the trailing dot; empty for none. */
function serviceName(flag: string, text: string): string | undefined {
  const name = text.replace(/\.$/, '');
  if (name === '') return undefined;
  if (isHostName(name) && name.split('.').length > 2) return name.toLowerCase();
  throw new UsageError(
    `${flag}: ${text} is not the full name of a Service, such as NAME.NAMESPACE.svc.DOMAIN`,
  );
}

function bit(flag: string, text: string): number {
  const value = /^(0x[0-9a-f]{1,8}|\d{1,10})$/i.test(text) ? Number(text) : 0;
  if (value > 0 && value <= 0xffff_ffff && Number.isInteger(Math.log2(value))) return value;
  throw new UsageError(`${flag}: ${text} is not a single bit of 32, such as 0x1000`);
}

/**
 * None of kube-proxy's (0x4000, 0x8000), the portmap plugin's (0x2000), Cilium's (0xff00), Calico's (0xffff0000), the AWS
 * CNI's (0x80) or Istio's (0x539). The second where the first is the fallback's.
 */
const ALIVE_MARKS = ['0x40', '0x2'] as const;

function marks(flags: Flags): Pick<InitOptions, 'fallbackMark' | 'aliveMark'> {
  const fallbackMark = bit('--fallback-mark', flags.fallbackMark);
  const asked = flags.aliveMark === undefined ? ALIVE_MARKS : [flags.aliveMark];
  const aliveMark = asked
    .map((text) => bit('--alive-mark', text))
    .find((mark) => mark !== fallbackMark);
  if (aliveMark !== undefined) return { fallbackMark, aliveMark };
  throw new UsageError(
    `--alive-mark: ${flags.aliveMark} is the bit of --fallback-mark: take another`,
  );
}

function portRange(flag: string, text: string): PortRange {
  const first = port(flag, text);
  const last = first + PROBE_PORTS - 1;
  if (last > 65_535) throw new UsageError(`${flag}: no ${PROBE_PORTS} ports from ${text} on`);
  return { first, last };
}

function port(flag: string, text: string): number {
  const value = parsePort(text);
  if (value === undefined) throw new UsageError(`${flag}: ${text} is not a port (1–65535)`);
  return value;
}

/** As Linux checks it: 1–15 characters, no slash, no white space, not a dot file's name. */
function linkName(name: string): string {
  if (/^[^\s/:]{1,15}$/.test(name) && name !== '.' && name !== '..') return name;
  throw new UsageError(`--interfacename: ${JSON.stringify(name)} cannot be the name of a link`);
}

/** The words of Go's flag package. */
function truth(flag: string, value: string | true): boolean {
  if (value === true || /^(1|t|true)$/i.test(value)) return true;
  if (/^(0|f|false)$/i.test(value)) return false;
  throw new UsageError(`${flag}: ${value} is neither true nor false`);
}

function interval(text: string): number {
  const ms = parseSyncIntervalMs(text);
  if (ms === undefined)
    throw new UsageError(`--syncinterval: ${text} is not a time of at least 1s`);
  return ms;
}

function oneOf<T extends string>(flag: string, text: string, words: readonly T[]): T {
  const word = words.find((candidate) => candidate === text);
  if (word === undefined) throw new UsageError(`${flag}: ${text} is none of ${words.join(', ')}`);
  return word;
}
