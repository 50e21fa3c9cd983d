/**
 * The kube-dns ConfigMap as a mounted directory, one file per key: `stubDomains`, `upstreamNameservers` and, only
 * checked, `federations`. Limits are node-local-dns's. An invalid key keeps its former value and is reported; the other
 * keys are used.
 */
import { posix } from 'node:path';
import { parseEndpoint } from '../base/address.ts';
import { ConfigError, messageOf, type Place } from '../base/errors.ts';
import { LIMITS } from '../base/limits.ts';
import type { ConfigFiles } from './corefile/imports.ts';

/** The values of the ConfigMap that the agent uses. */
export interface KubeDnsConfig {
  /** Lower-case domain without trailing dot → servers, each an IP address with an optional port. */
  readonly stubDomains: ReadonlyMap<string, readonly string[]>;
  /** Position of each domain: errors in the block generated from it point there. */
  readonly stubPlaces?: ReadonlyMap<string, Place>;
  /** At most three servers to use instead of /etc/resolv.conf; none means resolv.conf. */
  readonly upstreamNameservers: readonly string[];
}

/** The values of an empty or missing ConfigMap. */
export const NO_KUBE_DNS: KubeDnsConfig = { stubDomains: new Map(), upstreamNameservers: [] };

/** The key of the stub domains. */
export const STUB_DOMAINS = 'stubDomains';
/** The same as node-local-dns. */
const MAX_UPSTREAM_NAMESERVERS = 3;
/** RFC 1123 subdomain as Kubernetes checks it, ignoring letter case. */
const LABEL = '[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?';
const SUBDOMAIN = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`);
const MAX_DOMAIN_CHARS = 253;

/**
 * Reads the directory. A missing directory or key counts as empty; an invalid key keeps its value from `previous`.
 * `problems` lists the errors, each with the file of its key.
 */
export function readKubeDns(
  dir: string,
  files: ConfigFiles,
  previous: KubeDnsConfig,
): { readonly config: KubeDnsConfig; readonly problems: readonly ConfigError[] } {
  const problems: ConfigError[] = [];
  const readKey = <Value>(key: string, empty: Value, former: Value, read: Reader<Value>): Value => {
    const file = posix.join(dir, key);
    try {
      const text = files.kind(file) === 'file' ? files.read(file) : '';
      return text.trim() === '' ? empty : read(parseJson(text), key, { file, text });
    } catch (error) {
      problems.push(new ConfigError({ file, line: 1 }, messageOf(error), { cause: error }));
      return former;
    }
  };
  const { stubDomains, upstreamNameservers } = NO_KUBE_DNS;
  const none: Stubs = { stubDomains, stubPlaces: new Map() };
  const config = {
    ...readKey<Stubs>(STUB_DOMAINS, none, previous, readStubs),
    upstreamNameservers: readKey(
      'upstreamNameservers',
      upstreamNameservers,
      previous.upstreamNameservers,
      readUpstreams,
    ),
  };
  readKey('federations', undefined, undefined, checkFederations);
  return { config, problems };
}

/** Throws an Error whose message becomes the reason of a ConfigError. */
type Reader<Value> = (json: unknown, key: string, source: Source) => Value;

interface Source {
  readonly file: string;
  readonly text: string;
}

type Stubs = Pick<KubeDnsConfig, 'stubDomains' | 'stubPlaces'>;

function readStubs(json: unknown, key: string, { file, text }: Source): Stubs {
  const lineOf = (name: string): number =>
    text.slice(0, Math.max(0, text.indexOf(JSON.stringify(name)))).split('\n').length;
  const places = entriesOf(json, key).map(
    ([name]) => [domainOf(name), { file, line: lineOf(name) }] as const,
  );
  return { stubDomains: readStubDomains(json, key), stubPlaces: new Map(places) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`not valid JSON: ${messageOf(error)}`);
  }
}

function readStubDomains(json: unknown, key: string): ReadonlyMap<string, readonly string[]> {
  const domains = new Map<string, readonly string[]>();
  for (const [name, servers] of entriesOf(json, key)) {
    const domain = domainOf(name);
    if (domains.has(domain)) throw new Error(`stub domain ${domain} is listed twice: remove one`);
    const found = serversOf(servers, `stub domain ${domain}`);
    if (found.length === 0)
      throw new Error(`stub domain ${domain} has no server: list one or remove the domain`);
    if (found.length > LIMITS.forwardTargets.max)
      throw new Error(`stub domain ${domain} has over ${LIMITS.forwardTargets.max} servers`);
    domains.set(domain, found);
  }
  return domains;
}

function readUpstreams(json: unknown, key: string): readonly string[] {
  const servers = serversOf(json, key);
  if (servers.length > MAX_UPSTREAM_NAMESERVERS)
    throw new Error(`${key} takes at most ${MAX_UPSTREAM_NAMESERVERS} servers: remove some`);
  return servers;
}

/** Kubernetes has removed federations; node-local-dns ignores them but refuses malformed ones. */
function checkFederations(json: unknown, key: string): undefined {
  for (const [name, value] of entriesOf(json, key)) {
    domainOf(name);
    if (typeof value !== 'string') throw new Error(`federation ${name} must be a domain name`);
    domainOf(value);
  }
}

function entriesOf(json: unknown, key: string): [string, unknown][] {
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw new Error(`${key} must be a JSON object with domain names as keys`);
  return Object.entries(json);
}

function domainOf(name: string): string {
  const domain = name.toLowerCase();
  if (domain.length > MAX_DOMAIN_CHARS || !SUBDOMAIN.test(domain))
    throw new Error(`"${name.slice(0, MAX_DOMAIN_CHARS)}" is not a domain name (RFC 1123)`);
  return domain;
}

function serversOf(json: unknown, what: string): readonly string[] {
  if (!Array.isArray(json)) throw new Error(`${what} must be a JSON list of IP addresses`);
  return json.map((server: unknown) => {
    if (typeof server === 'string' && parseEndpoint(server, 53) !== undefined) return server;
    const shown = JSON.stringify(server)?.slice(0, 100);
    throw new Error(`${what}: ${shown} is neither an IP address nor IP:port (no host names)`);
  });
}
