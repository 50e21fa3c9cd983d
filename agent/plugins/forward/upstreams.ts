/** The upstreams of a forward line: addresses, names, and files in the format of resolv.conf(5). */

import {
  addressBytes,
  type Endpoint,
  familyOf,
  formatAddress,
  formatEndpoint,
  isWildcard,
  parseEndpoint,
  parsePort,
} from '../../base/address.ts';
import { ConfigError, messageOf, type Place } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import { parseResolvConf } from '../../base/resolv-conf.ts';
import type { Token } from '../../config/corefile/types.ts';
import { lowerName, nameFromText, nameToText } from '../../dns/name.ts';
import type { Services } from '../../query/services/services.ts';
import type { UpstreamEndpoint, UpstreamName } from '../../query/services/upstreams.ts';
import { serverName, type TlsOptions } from './tls.ts';

const DNS_PORT = 53;
const TLS_PORT = 853;
const HTTPS_PORT = 443;
/** Of servers that do not name another (RFC 8484 §4.1.1). */
const DOH_PATH = '/dns-query';
/** Schemes that CoreDNS forwards over and nodens does not. */
const LATER_SCHEMES = ['https3', 'quic', 'grpc', 'unix'];

/** Targets of a forward line. */
export interface ForwardUpstreams {
  readonly upstreams: readonly UpstreamEndpoint[];
  readonly names: readonly UpstreamName[];
}

type Named =
  | { readonly target: UpstreamEndpoint; readonly isFromFile: boolean }
  | { readonly host: Omit<UpstreamName, 'before'> };

/**
 * Upstreams and names in the order of the text, each once. The agent's own listening addresses are left out, because
 * they would be a loop. If a file contains nothing else there is no upstream: what the node's administrator wrote there
 * must not stop other zones. Throws ConfigError if the text itself leaves no upstream, or too many.
 */
export function readUpstreams(
  tokens: readonly Token[],
  tls: TlsOptions,
  services: Services,
): ForwardUpstreams {
  const named = tokens.flatMap((token) =>
    namedBy(token, tls, services).map((one) => ({ ...one, place: token.place })),
  );
  const addresses = named.flatMap((one) => ('target' in one ? [one] : []));
  const isOwn = ownListeners(services);
  const own: { readonly target: Endpoint; readonly place: Place }[] = [];
  const unique = new Map<string, UpstreamEndpoint>();
  const hosts = new Map<string, UpstreamName>();
  for (const one of named) {
    if ('host' in one) {
      const key = JSON.stringify([nameToText(one.host.name), one.host.port, one.host.tls]);
      if (!hosts.has(key)) hosts.set(key, { ...one.host, before: unique.size });
    } else if (isOwn(one.target)) own.push(one);
    else unique.set(keyOf(one.target), one.target);
  }
  const [first] = tokens;
  const count = unique.size + hosts.size;
  if (first !== undefined && count === 0 && !addresses.some(({ isFromFile }) => isFromFile))
    throw new ConfigError(first.place, reasonForNone(addresses.map(({ target }) => target)));
  for (const { target, place } of own) warnOfOwn(target, place, services);
  if (first !== undefined && count === 0)
    services.log.warn(
      { event: 'upstream-file', file: first.text },
      'forward has no upstream left: its names get SERVFAIL',
    );
  const { max } = LIMITS.forwardTargets;
  if (first !== undefined && count > max)
    throw new ConfigError(first.place, `${count} upstreams: at most ${max} are allowed`);
  return { upstreams: [...unique.values()], names: [...hosts.values()] };
}

function warnOfOwn(target: Endpoint, { file, line }: Place, { log }: Services): void {
  const name = formatEndpoint(target);
  log.warn(
    { event: 'upstream-self', upstream: name, at: `${file}:${line}` },
    `not forwarding to ${name}: nodens itself listens there`,
  );
}

function keyOf(target: UpstreamEndpoint): string {
  const { serverName = '', https } = target.tls ?? {};
  return `${canonical(target)} ${serverName} ${target.tls !== undefined} ${https?.path ?? ''}`;
}

function reasonForNone(named: readonly UpstreamEndpoint[]): string {
  if (named.length === 0) return 'no nameserver found to forward to';
  const names = named.map(formatEndpoint).join(', ');
  return `${names}: nodens itself listens there, and no other upstream is named`;
}

/**
 * Whether a listener of the configuration is at an endpoint: a query to another block comes back to this process as
 * well. A wildcard includes every address that the node has at the time of the check.
 */
export function ownListeners({ block }: Services): (endpoint: Endpoint) => boolean {
  const labels = block.servers.map(({ label }) => label.replace(/^[a-z0-9]+:\/\//, ''));
  const own = new Set<string>();
  const everywhere = new Set<number>();
  for (const text of [...labels, ...(block.listening ?? [])]) {
    const [, port] = /^(?:0\.0\.0\.0|\[::\])?:(\d+)$/.exec(text) ?? [];
    const endpoint = parseEndpoint(text, DNS_PORT);
    if (port !== undefined) everywhere.add(Number(port));
    else if (endpoint !== undefined) own.add(canonical(endpoint));
  }
  const isOfNode = (endpoint: Endpoint): boolean =>
    isWildcard(endpoint.address) ||
    (block.nodeAddresses?.() ?? []).some(
      (address) => canonical({ ...endpoint, address }) === canonical(endpoint),
    );
  return (endpoint) =>
    own.has(canonical(endpoint)) || (everywhere.has(endpoint.port) && isOfNode(endpoint));
}

/** One spelling for each address. */
function canonical({ address, port }: Endpoint): string {
  const isPlain = familyOf(address) !== undefined && !address.includes('%');
  return formatEndpoint({
    address: isPlain ? formatAddress(addressBytes(address)) : address,
    port,
  });
}

function namedBy(token: Token, tls: TlsOptions, services: Services): readonly Named[] {
  const [, scheme, rest] = /^([a-z0-9]+):\/\/(.*)$/.exec(token.text) ?? [];
  if (scheme === 'tls') return [overTls(token, rest ?? '', tls, TLS_PORT)];
  if (scheme === 'https') return [overHttps(token, rest ?? '', tls)];
  if (scheme !== undefined && scheme !== 'dns') throw unsupportedScheme(token, scheme);
  const text = rest ?? token.text;
  const target = parseEndpoint(text, DNS_PORT);
  if (target !== undefined) return [{ target, isFromFile: false }];
  const host = hostOf(text, DNS_PORT);
  if (scheme !== undefined) {
    if (host === undefined) throw notATarget(token);
    return [{ host }];
  }
  return fromFile(token, host, services);
}

/** A name with or without port. Text that ends in digits is a mistyped address. */
function hostOf(text: string, defaultPort: number): Omit<UpstreamName, 'before'> | undefined {
  const [, host = '', digits] = /^([a-z0-9_.-]+?)(?::(\d{1,5}))?$/i.exec(text) ?? [];
  const port = digits === undefined ? defaultPort : parsePort(digits);
  if (port === undefined || !/[a-z]/i.test(host) || /(^|\.)\d+\.?$/.test(host)) return undefined;
  try {
    return { name: lowerName(nameFromText(host)), port };
  } catch {
    return undefined;
  }
}

/** As `overTls`, and then perhaps `/path`. */
function overHttps(token: Token, text: string, tls: TlsOptions): Named {
  const [, authority = '', path = DOH_PATH] = /^([^/]*)(\/.*)?$/s.exec(text) ?? [];
  if (!/^\/[\x21-\x7e]*$/.test(path) || /[#{}]/.test(path))
    throw new ConfigError(token.place, `"${path}" is not the path of a URL`);
  const https = { path, method: tls.httpMethod };
  const files = { ...tls.files, https };
  return overTls(token, authority, { ...tls, files }, HTTPS_PORT);
}

/** `IP[%servername][:port]` or a name; the server name may also be inside the brackets of an IPv6 address. */
function overTls(token: Token, text: string, tls: TlsOptions, defaultPort: number): Named {
  const [, own] = /%([^\]:]+)/.exec(text) ?? [];
  const plain = own === undefined ? text : text.replace(`%${own}`, '');
  const endpoint = parseEndpoint(plain, defaultPort);
  const host = endpoint === undefined ? hostOf(plain, defaultPort) : undefined;
  if (endpoint === undefined && host === undefined) throw notATarget(token);
  if (own !== undefined && tls.serverName !== undefined)
    throw new ConfigError(
      token.place,
      `"${token.text}" names its server, and so does tls_servername`,
    );
  const said = own === undefined ? tls.serverName : serverName(token, own);
  // The certificate of an upstream given by name must contain that name, unless the Corefile sets another.
  const name = said ?? (host && nameToText(host.name).replace(/\.$/, ''));
  const over = { ...tls.files, ...(name !== undefined && { serverName: name }) };
  if (host !== undefined) return { host: { ...host, tls: over } };
  return { target: { ...(endpoint as Endpoint), tls: over }, isFromFile: false };
}

function unsupportedScheme(token: Token, scheme: string): ConfigError {
  const reason = LATER_SCHEMES.includes(scheme)
    ? `forwarding to ${token.text} is not supported yet: only plain DNS, DNS over TLS and over HTTPS are`
    : `unknown scheme in "${token.text}": only dns://, tls:// and https:// are supported`;
  return new ConfigError(token.place, reason);
}

function notATarget(token: Token): ConfigError {
  return new ConfigError(
    token.place,
    `"${token.text}" is neither an IP address nor a name, with or without port`,
  );
}

/** The servers of a file in the format of resolv.conf, or the name that `token` is if there is no such file. */
function fromFile(
  token: Token,
  host: Omit<UpstreamName, 'before'> | undefined,
  { files, log }: Services,
): readonly Named[] {
  let text: string;
  try {
    text = files.read(token.text);
  } catch (error) {
    if (host !== undefined) return [{ host }];
    const reason = `"${token.text}" is neither an IP address, a name nor a readable file: ${messageOf(error)}`;
    throw new ConfigError(token.place, reason, { cause: error });
  }
  const odd: number[] = [];
  const servers = nameservers(text, (line) => odd.push(line));
  if (odd.length > 0)
    log.warn(
      { event: 'upstream-file', file: token.text, line: odd[0], skipped: odd.length },
      `${token.text}: ignored ${odd.length} nameservers that are no address ` +
        `(the first: ${token.text}:${odd[0]})`,
    );
  if (servers.length === 0)
    log.warn(
      { event: 'upstream-file', file: token.text },
      `no nameserver in ${token.text}: continuing without it`,
    );
  return servers.map((target) => ({ target, isFromFile: true }));
}

/**
 * Addresses on the `nameserver` lines of a resolv.conf, port 53; invalid addresses are left out, as in libc, and
 * `onOdd` gets their line number, from 1.
 */
export function nameservers(text: string, onOdd: (line: number) => void = () => {}): Endpoint[] {
  return parseResolvConf(text).nameserverLines.flatMap(({ text: address, line }) => {
    const endpoint = parseEndpoint(address, DNS_PORT);
    if (endpoint !== undefined && !address.startsWith('[')) return [endpoint];
    onOdd(line);
    return [];
  });
}
