/** The upstreams a forward line names: addresses, and files in the format of resolv.conf(5). */
import {
  addressBytes,
  type Endpoint,
  familyOf,
  formatAddress,
  formatEndpoint,
  parseEndpoint,
} from '../../base/address.ts';
import { ConfigError, messageOf } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import type { Token } from '../../config/corefile/types.ts';
import type { Services, UpstreamTarget } from '../../query/services.ts';
import { serverName, type TlsOptions } from './tls.ts';

const DNS_PORT = 53;
const TLS_PORT = 853;
/** Schemes the peer forwards over and we do not yet. */
const LATER_SCHEMES = ['https', 'https3', 'quic', 'grpc', 'unix'];

interface Named {
  readonly target: UpstreamTarget;
  readonly isFromFile: boolean;
}

/**
 * Targets in the order of the text, each once, without our own listening addresses: asking ourselves is a loop. Where
 * a file names nothing else there is no target, because what the node's administrator wrote there must not keep other
 * zones from being served. Throws ConfigError where the text itself leaves nothing, or too much.
 */
export function readTargets(
  tokens: readonly Token[],
  tls: TlsOptions,
  services: Services,
): UpstreamTarget[] {
  const named = tokens.flatMap((token) => namedBy(token, tls, services));
  const unique = new Map(named.map(({ target }) => [keyOf(target), target]));
  const own = ownEndpoints(services);
  for (const [key, target] of unique) {
    if (!own.has(canonical(target))) continue;
    unique.delete(key);
    const name = formatEndpoint(target);
    services.log.warn({ upstream: name }, `not forwarding to ${name}: nodens itself listens there`);
  }
  const [first] = tokens;
  if (first === undefined) return [];
  if (unique.size === 0) {
    if (!named.some(({ isFromFile }) => isFromFile))
      throw new ConfigError(first.place, reasonForNone(named));
    services.log.warn(
      { file: first.text },
      'no upstream is left: names that would be forwarded get SERVFAIL',
    );
  }
  const { max } = LIMITS.forwardTargets;
  if (unique.size > max)
    throw new ConfigError(first.place, `${unique.size} upstreams: at most ${max} are allowed`);
  return [...unique.values()];
}

function keyOf(target: UpstreamTarget): string {
  return `${canonical(target)} ${target.tls?.serverName ?? ''} ${target.tls !== undefined}`;
}

function reasonForNone(named: readonly Named[]): string {
  if (named.length === 0) return 'no nameserver found to forward to';
  const names = named.map(({ target }) => formatEndpoint(target)).join(', ');
  return `${names}: nodens itself listens there, and no other upstream is named`;
}

/** `address:port` of every listener of the configuration: a query sent to another block comes back here, too. */
function ownEndpoints({ block }: Services): ReadonlySet<string> {
  const labels = block.servers.map(({ label }) => label.replace(/^[a-z0-9]+:\/\//, ''));
  const named = [...labels, ...(block.listening ?? [])];
  return new Set(
    named.flatMap((text) => {
      const endpoint = parseEndpoint(text, DNS_PORT);
      return endpoint === undefined ? [] : [canonical(endpoint)];
    }),
  );
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
  if (scheme === 'tls') return [{ target: overTls(token, rest ?? '', tls), isFromFile: false }];
  if (scheme !== undefined && scheme !== 'dns') throw unsupportedScheme(token, scheme);
  const target = parseEndpoint(rest ?? token.text, DNS_PORT);
  if (target !== undefined) return [{ target, isFromFile: false }];
  if (scheme !== undefined) throw notATarget(token);
  return fromFile(token, services).map((found) => ({ target: found, isFromFile: true }));
}

/** `IP[%servername][:port]`; the name may stand within the brackets of an IPv6 address as well. */
function overTls(token: Token, text: string, tls: TlsOptions): UpstreamTarget {
  const [, own] = /%([^\]:]+)/.exec(text) ?? [];
  const endpoint = parseEndpoint(own === undefined ? text : text.replace(`%${own}`, ''), TLS_PORT);
  if (endpoint === undefined) throw notATarget(token);
  if (own !== undefined && tls.serverName !== undefined)
    throw new ConfigError(
      token.place,
      `"${token.text}" names its server, and so does tls_servername`,
    );
  const name = own === undefined ? tls.serverName : serverName(token, own);
  return { ...endpoint, tls: { ...tls.files, ...(name !== undefined && { serverName: name }) } };
}

function unsupportedScheme(token: Token, scheme: string): ConfigError {
  const reason = LATER_SCHEMES.includes(scheme)
    ? `forwarding to ${token.text} is not supported yet: only plain DNS and DNS over TLS are`
    : `unknown scheme in "${token.text}": dns:// and tls:// are those there are`;
  return new ConfigError(token.place, reason);
}

function notATarget(token: Token): ConfigError {
  return new ConfigError(token.place, `"${token.text}" is not an IP address, with or without port`);
}

function fromFile(token: Token, { files, log }: Services): readonly Endpoint[] {
  let text: string;
  try {
    text = files.read(token.text);
  } catch (error) {
    const reason = `"${token.text}" is neither an IP address nor a readable file: ${messageOf(error)}`;
    throw new ConfigError(token.place, reason, { cause: error });
  }
  const servers = nameservers(text);
  if (servers.length === 0)
    log.warn({ file: token.text }, `no nameserver in ${token.text}: going on without it`);
  return servers;
}

/** Addresses on the `nameserver` lines of a resolv.conf, port 53; what is no address is left out, as libc does. */
export function nameservers(text: string): Endpoint[] {
  return text.split('\n').flatMap((line) => {
    const [, address = ''] = /^\s*nameserver\s+([^\s#;]+)/.exec(line) ?? [];
    const endpoint = parseEndpoint(address, DNS_PORT);
    return endpoint === undefined || address.startsWith('[') ? [] : [endpoint];
  });
}
