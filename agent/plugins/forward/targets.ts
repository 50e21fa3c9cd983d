/** The upstreams a forward line names: addresses, and files in the format of resolv.conf(5). */
import { type Endpoint, formatEndpoint, parseEndpoint } from '../../base/address.ts';
import { ConfigError, messageOf } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import type { Token } from '../../config/corefile/types.ts';
import type { Services } from '../../query/services.ts';

const DNS_PORT = 53;
/** Schemes the peer forwards over and we do not yet. */
const LATER_SCHEMES = ['tls', 'https', 'https3', 'quic', 'grpc', 'unix'];

/**
 * Targets in the order of the text, each once, without our own listening addresses: asking ourselves is a loop. Throws
 * ConfigError where nothing is left, or too much.
 */
export function readTargets(tokens: readonly Token[], services: Services): Endpoint[] {
  const named = tokens.flatMap((token) => endpointsOf(token, services));
  const unique = new Map(named.map((endpoint) => [formatEndpoint(endpoint), endpoint]));
  const own = ownAddresses(services);
  for (const name of unique.keys()) {
    if (!own.has(name)) continue;
    unique.delete(name);
    services.log.warn({ upstream: name }, `not forwarding to ${name}: nodens itself listens there`);
  }
  const [first] = tokens;
  if (first === undefined) return [];
  if (unique.size === 0) throw new ConfigError(first.place, reasonForNone(named));
  const { max } = LIMITS.forwardTargets;
  if (unique.size > max)
    throw new ConfigError(first.place, `${unique.size} upstreams: at most ${max} are allowed`);
  return [...unique.values()];
}

function reasonForNone(named: readonly Endpoint[]): string {
  return named.length === 0
    ? 'no nameserver found to forward to'
    : `${named.map(formatEndpoint).join(', ')}: nodens itself listens there, and no other upstream is named`;
}

function ownAddresses({ block }: Services): ReadonlySet<string> {
  return new Set(block.servers.map(({ label }) => label.replace(/^[a-z0-9]+:\/\//, '')));
}

function endpointsOf(token: Token, services: Services): readonly Endpoint[] {
  const [, scheme, rest] = /^([a-z0-9]+):\/\/(.*)$/.exec(token.text) ?? [];
  if (scheme !== undefined && scheme !== 'dns') throw unsupportedScheme(token, scheme);
  const endpoint = parseEndpoint(rest ?? token.text, DNS_PORT);
  if (endpoint !== undefined) return [endpoint];
  if (scheme !== undefined) throw notATarget(token);
  return fromFile(token, services);
}

function unsupportedScheme(token: Token, scheme: string): ConfigError {
  const reason = LATER_SCHEMES.includes(scheme)
    ? `forwarding to ${token.text} is not supported yet: only plain DNS is`
    : `unknown scheme in "${token.text}": dns:// is the one there is`;
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
