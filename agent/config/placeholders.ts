/**
 * The placeholders of node-local-dns's Corefile template, replaced in its order. Words are replaced instead of bytes,
 * so that a template with another layout, or an agent with two local IPs, works. Line numbers stay the template's.
 */
import { familyOf } from '../base/address.ts';
import { ConfigError, type Place } from '../base/errors.ts';
import { DEFAULT_CLUSTER_DOMAIN } from '../base/resolv-conf.ts';
import { suggestion } from '../base/text/nearest.ts';
import type { Environment } from './corefile/env.ts';
import type { KubeDnsConfig } from './kube-dns.ts';

const UPSTREAM_SERVERS = '__PILLAR__UPSTREAM__SERVERS__';
const CLUSTER_DNS = '__PILLAR__CLUSTER__DNS__';
const LOCAL_DNS = '__PILLAR__LOCAL__DNS__';
const DNS_SERVER = '__PILLAR__DNS__SERVER__';
const DNS_DOMAIN = '__PILLAR__DNS__DOMAIN__';
const PROMETHEUS_ENDPOINT = '__PROMETHEUS__ENDPOINT__';
const PLACEHOLDERS = [
  UPSTREAM_SERVERS,
  CLUSTER_DNS,
  LOCAL_DNS,
  DNS_SERVER,
  DNS_DOMAIN,
  PROMETHEUS_ENDPOINT,
];

/** What the placeholders of a template are replaced with. */
export interface PlaceholderValues {
  /** `-localip`, in its order; probes and HTTP endpoints that accept one address get the first. */
  readonly localIps: readonly string[];
  /** Name of the service in `-upstreamsvc`, and its ClusterIP if known. */
  readonly upstreamService: string;
  readonly upstreamServiceIp: string | undefined;
  /** `-prometheus-listen-address`. */
  readonly prometheusEndpoint: string;
  /** `-dns.port`: the port of stub-domain blocks. */
  readonly dnsPort: number;
  readonly kubeDns: KubeDnsConfig;
  /** The cluster domain from resolv.conf, if there is one. */
  readonly clusterDomain: string | undefined;
}

/** A template with its placeholders replaced, and what came from where. */
export interface RenderedCorefile {
  readonly text: string;
  /** Source of a line of `text`: the template itself, or the kube-dns ConfigMap for a block generated from it. */
  readonly placeOf: (line: number) => Place;
  readonly warnings: readonly string[];
}

/**
 * The environment of a process never changes, so waiting is useless: the agent exits, the kubelet restarts its
 * container, and the new process finds the variable once the Service exists.
 */
function missingService(service: string, place: Place): ConfigError {
  const reason =
    `the address of Service ${service} is unknown: ${serviceHostVariable(service)} is not set to an IP address. ` +
    "A container sees the Services that existed in its namespace when it started: create the Service in the pod's " +
    'namespace, the next start finds it, or name another with -upstreamsvc';
  return new ConfigError(place, reason);
}

/** Name of the variable in which Kubernetes passes the ClusterIP of `service` to a pod. */
export function serviceHostVariable(service: string): string {
  return `${service.toUpperCase().replaceAll('-', '_')}_SERVICE_HOST`;
}

/** ClusterIP of `service` from the environment, or undefined if the variable has no address. */
export function serviceIpOf(service: string, env: Environment): string | undefined {
  const host = env[serviceHostVariable(service)] ?? '';
  return familyOf(host) === undefined ? undefined : host;
}

/**
 * The Corefile of a template, followed by a block for each stub domain. `file` names the template in errors. Throws
 * ConfigError for a placeholder that is unknown or has no value.
 */
export function renderCorefile(
  template: string,
  file: string,
  values: PlaceholderValues,
): RenderedCorefile {
  const uses = placesOf(template, file);
  const warnings: string[] = [];
  const clusterDns = uses.get(CLUSTER_DNS);
  if (clusterDns !== undefined && values.upstreamServiceIp === undefined)
    throw missingService(values.upstreamService, clusterDns);
  const localDns = uses.get(LOCAL_DNS);
  if (localDns !== undefined && values.localIps.length === 0)
    throw new ConfigError(localDns, `${LOCAL_DNS} has no value: give -localip`);
  const domain = values.clusterDomain ?? DEFAULT_CLUSTER_DOMAIN;
  const domainUse = uses.get(DNS_DOMAIN);
  if (domainUse !== undefined)
    warnings.push(`${file}:${domainUse.line}: ${DNS_DOMAIN} was not filled in, taken as ${domain}`);
  const text = withUpstreamServers(template, values.kubeDns.upstreamNameservers)
    .replaceAll(CLUSTER_DNS, values.upstreamServiceIp ?? CLUSTER_DNS)
    .replaceAll(LOCAL_WORD, (word) => withLocalIps(word, values.localIps))
    .replaceAll(DNS_SERVER, '')
    .replaceAll(DNS_DOMAIN, domain)
    .replaceAll(PROMETHEUS_ENDPOINT, () => values.prometheusEndpoint);
  return { ...withStubBlocks(text, file, values), warnings };
}

/** First use of each placeholder outside comments. */
function placesOf(template: string, file: string): ReadonlyMap<string, Place> {
  const places = new Map<string, Place>();
  template.split('\n').forEach((line, index) => {
    const place = { file, line: index + 1 };
    for (const [found] of line.replace(/#.*$/, '').matchAll(/__(?:PILLAR|PROMETHEUS)__[A-Z_]*/g)) {
      for (const name of splitPlaceholders(found)) {
        if (!PLACEHOLDERS.includes(name))
          throw new ConfigError(
            place,
            `unknown placeholder ${name}: ${suggestion(name, PLACEHOLDERS)}`,
          );
        if (!places.has(name)) places.set(name, place);
      }
    }
  });
  return places;
}

/** Placeholders may be adjacent. */
function splitPlaceholders(text: string): string[] {
  return text.split(/(?<=__)(?=__(?:PILLAR|PROMETHEUS)__)/);
}

const UPSTREAM_FORWARD = new RegExp(
  `^([ \\t]*forward[ \\t]+\\S+[ \\t]+${UPSTREAM_SERVERS})[ \\t]*\\{([^{}]*)\\}`,
  'gm',
);
const FORCE_TCP = /^[ \t]*force_tcp[ \t\r]*(#.*)?$/gm;

/**
 * Servers from the ConfigMap are asked over UDP, as in node-local-dns: they may not support TCP, so `force_tcp` is
 * removed from the forwards to them.
 */
function withUpstreamServers(template: string, servers: readonly string[]): string {
  if (servers.length === 0) return template.replaceAll(UPSTREAM_SERVERS, '/etc/resolv.conf');
  return template
    .replace(UPSTREAM_FORWARD, (_whole, head: string, body: string) => {
      const rest = body.replace(FORCE_TCP, '');
      return rest.trim() === '' ? `${head}${rest.replace(/[^\n]/g, '')}` : `${head} {${rest}}`;
    })
    .replaceAll(UPSTREAM_SERVERS, servers.join(' '));
}

/** A word of the template with the local-IP placeholder. */
const LOCAL_WORD = new RegExp(`(?<![^\\s"])[^\\s"]*${LOCAL_DNS}[^\\s"]*`, 'g');
const LOCAL_IN_WORD = new RegExp(`(\\[?)${LOCAL_DNS}(?:\\]?)(:?)`, 'g');

/** All local IPs if the placeholder is a word of its own; the first if it is part of one, as in `health IP:8080`. */
function withLocalIps(word: string, localIps: readonly string[]): string {
  if (word === LOCAL_DNS) return localIps.join(' ');
  const first = localIps[0] ?? LOCAL_DNS;
  return word.replace(LOCAL_IN_WORD, (_whole, bracket: string, colon: string) => {
    const bracketed = familyOf(first) === 6 && (bracket !== '' || colon !== '');
    return `${bracketed ? `[${first}]` : first}${colon}`;
  });
}

/** Blocks of node-local-dns's shape, ordered by name: the same ConfigMap always produces the same text. */
function withStubBlocks(
  template: string,
  file: string,
  { kubeDns, dnsPort, localIps }: PlaceholderValues,
): Omit<RenderedCorefile, 'warnings'> {
  const bind = localIps.length === 0 ? '' : `    bind ${localIps.join(' ')}\n`;
  const own = template.split('\n').length;
  const places: Place[] = [];
  let text = template;
  for (const [domain, servers] of [...kubeDns.stubDomains].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const lines = `    errors\n    cache 30\n${bind}    forward . ${servers.join(' ')}\n`;
    const block = `\n${domain}:${dnsPort} {\n${lines}}\n`;
    const place = kubeDns.stubPlaces?.get(domain) ?? { file, line: own };
    places.push(
      ...block
        .split('\n')
        .slice(1)
        .fill('')
        .map(() => place),
    );
    text += block;
  }
  return { text, placeOf: (line) => places[line - own - 1] ?? { file, line } };
}
