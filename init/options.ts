/** The command line of init. */
import { addressBytes, familyOf, formatAddress, parsePort } from '../agent/base/address.ts';
import { CONTROL_SOCKET_ENV, DEFAULT_CONTROL_SOCKET } from '../agent/base/control.ts';
import { UsageError } from '../agent/base/errors.ts';
import { INIT_MODES } from '../agent/base/flags/init-flags.ts';
import { type FlagValues, parsePlain } from '../agent/base/flags/parse.ts';
import { defaultOf } from '../agent/base/flags/table.ts';
import { parseSyncIntervalMs } from '../agent/base/text/duration.ts';
import { isHostName } from './endpoints/lookup.ts';
import type { BackendWish } from './firewall/select.ts';
import type { PortRange } from './plan/plan.ts';

/** What init does: stay and intercept; set up once and exit; remove everything; print what it would do. */
export type InitMode = 'run' | 'once' | 'cleanup' | 'observe';

/** The checked command line of init, with defaults filled in. */
export interface InitOptions {
  readonly mode: InitMode;
  /** Canonical text, no doubles; empty only for cleanup. */
  readonly localIps: readonly string[];
  readonly port: number;
  /** Port of the agent's health endpoint; undefined for `--health-port 0`. */
  readonly healthPort: number | undefined;
  readonly interfaceName: string;
  readonly setupInterface: boolean;
  readonly setupRules: boolean;
  /** Whether the query rules for pods, which end with the agent's socket, stay when init leaves. */
  readonly skipTeardown: boolean;
  readonly syncIntervalMs: number;
  readonly backend: BackendWish;
  /** ClusterIPs of kube-dns that were asked for, at most one of a family; canonical text. */
  readonly clusterDns: readonly string[];
  /** Full name of the headless Service in front of kube-dns; undefined: the fallback never uses endpoints. */
  readonly fallbackService: string | undefined;
  /** A single bit. */
  readonly fallbackMark: number;
  readonly probePorts: PortRange;
  /** Intercept although the data path seems to bypass netfilter. */
  readonly force: boolean;
  readonly socketPath: string;
  /** Folder to make writable for the agent's snapshot; undefined for none. */
  readonly stateDir: string | undefined;
  /** Arguments of the agent to run as child, undefined to run none. */
  readonly supervise: readonly string[] | undefined;
}

/** One line for standard error after a `UsageError`. */
export const USAGE = 'usage: nodens init --localip IP[,IP…] [options] [--supervise -- AGENT-ARG…]';

/** Options of `argv` (without node and script). Throws `UsageError` with the flag and the reason. */
export function initOptionsFrom(argv: readonly string[]): InitOptions {
  const end = argv.indexOf('--');
  const own = end === -1 ? argv : argv.slice(0, end);
  const { values: flags } = parsePlain('init', own);
  const supervise = flags.supervise === 'true';
  if (supervise !== (end !== -1)) throw new UsageError('--supervise and -- AGENT-ARG… go together');
  return optionsOf(flags, supervise ? argv.slice(end + 1) : undefined);
}

/** During an upgrade two inits probe; the rest is spare. */
const PROBE_PORTS = 8;

function defaultSocket(): string {
  return process.env[CONTROL_SOCKET_ENV] ?? DEFAULT_CONTROL_SOCKET;
}

function optionsOf(flags: FlagValues, supervise: readonly string[] | undefined): InitOptions {
  const mode = modeOf(flags);
  const localIps = addressesOf('--localip', flags.localip ?? '');
  if (localIps.length === 0 && mode !== 'cleanup') throw new UsageError('--localip is missing');
  if (supervise !== undefined && mode !== 'run')
    throw new UsageError(`--supervise does not go with --${mode}`);
  const value = (name: string): string => flags[name] ?? defaultOf('init', name) ?? '';
  const isOn = (name: string): boolean => value(name) === 'true';
  return {
    mode,
    localIps,
    port: port('--dns.port', value('dns.port')),
    healthPort:
      value('health-port') === '0' ? undefined : port('--health-port', value('health-port')),
    interfaceName: linkName(value('interfacename')),
    setupInterface: isOn('setupinterface'),
    setupRules: isOn('setupiptables'),
    skipTeardown: isOn('skipteardown'),
    syncIntervalMs: interval(value('syncinterval')),
    backend: oneOf('--backend', value('backend'), ['auto', 'nft', 'iptables']),
    clusterDns: oneOfFamily('--clusterdns', addressesOf('--clusterdns', value('clusterdns'))),
    fallbackService: serviceName('--fallback-service', value('fallback-service')),
    fallbackMark: bit('--fallback-mark', value('fallback-mark')),
    probePorts: portRange('--probe-port', value('probe-port')),
    force: isOn('force'),
    socketPath: flags.socket ?? defaultSocket(),
    stateDir: absolute('--statedir', flags.statedir),
    supervise,
  };
}

function modeOf(flags: FlagValues): InitMode {
  const asked = INIT_MODES.filter((mode) => flags[mode] === 'true');
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
