/** A configuration as an explicit Corefile: defaults filled in, files and placeholders resolved. */
import { formatEndpoint } from '../../base/address.ts';
import { formatDuration } from '../../base/text/duration.ts';
import { formatKey } from '../../config/corefile/keys.ts';
import type { Block, Directive, Line, Token } from '../../config/corefile/types.ts';
import { rcodeName } from '../../dns/iana.ts';
import { nameToText } from '../../dns/name.ts';
import type { CacheOptions } from '../../query/services/cache.ts';
import type { UpstreamGroupOptions } from '../../query/services/upstreams.ts';
import type { DryRun } from './dry-run.ts';

const INDENT = '    ';

/** Arguments of directives that were written without any. */
const DEFAULT_ARGS: Readonly<Record<string, string>> = {
  health: ':8080',
  prometheus: 'localhost:9153',
  ready: ':8181',
  reload: '30s 15s',
  bufsize: '1232',
};

/** The text that `nodens check` prints; blocks and directives are in the order of `corefile`. */
export function effectiveCorefile({ serverConfig, caches, groups }: DryRun): string {
  const nextCache = caches[Symbol.iterator]();
  const nextGroup = groups[Symbol.iterator]();
  const directive = (found: Directive): string[] => {
    if (found.name === 'cache') return cacheLines(nextCache.next().value as CacheOptions, found);
    return found.uses.flatMap((use) =>
      found.name === 'forward'
        ? forwardLines(use, nextGroup.next().value as UpstreamGroupOptions)
        : lineOf(use, DEFAULT_ARGS[found.name]),
    );
  };
  return serverConfig.corefile.blocks.map((block) => blockText(block, directive)).join('\n');
}

function blockText(block: Block, directive: (found: Directive) => string[]): string {
  // Characters with a meaning in a key but not in a name are escaped.
  const escaped = (zone: string) => zone.replace(/[#,:]/g, (char) => `\\0${char.charCodeAt(0)}`);
  const keys = block.keys.map((key) =>
    formatKey({ ...key, zone: escaped(key.zone) }).replace(/^dns:\/\//, ''),
  );
  const lines = block.directives.flatMap(directive).map((line) => `${INDENT}${line}\n`);
  return `${keys.join(' ')} {\n${lines.join('')}}\n`;
}

function lineOf(line: Line, defaultArgs?: string): string[] {
  const words = [line.name, ...line.args].map(word);
  if (line.args.length === 0 && defaultArgs !== undefined) words.push(defaultArgs);
  const head = words.join(' ');
  if (line.body === undefined) return [head];
  return braces(
    head,
    line.body.flatMap((inner) => lineOf(inner)),
  );
}

function braces(head: string, lines: readonly string[]): string[] {
  return [`${head} {`, ...lines.map((line) => `${INDENT}${line}`), '}'];
}

function word({ text, quoted }: Token): string {
  if (!quoted && text !== '' && !/[\s#]|^"|^[{}]$/.test(text)) return text;
  return `"${text.replaceAll('"', '\\"')}"`;
}

function cacheLines(options: CacheOptions, { uses }: Directive): string[] {
  const { success, servfailMs, prefetch, serveStale, lastKnownGood } = options;
  const [use] = uses as readonly [Line];
  const lines = [
    `success ${success.capacity} ${success.maxTtlSeconds} ${success.minTtlSeconds}`,
    denialLine(options, use),
    `servfail ${formatDuration(servfailMs)}`,
    ...withZones('disable success', options.disableSuccess),
    ...withZones('disable denial', options.disableDenial),
    ...withZones('nxdomain_cut', options.nxdomainCut),
    ...withZones('nxdomain_probe', options.nxdomainProbe),
  ];
  if (prefetch !== undefined) {
    const { amount, windowMs, percentage } = prefetch;
    lines.push(`prefetch ${amount} ${formatDuration(windowMs)} ${percentage}%`);
  }
  if (serveStale !== undefined) lines.push(staleLine(serveStale));
  if (lastKnownGood !== undefined) {
    const { windowMs, zones } = lastKnownGood;
    lines.push(...withZones(`last_known_good ${formatDuration(windowMs)}`, zones));
  }
  if (options.keepTtl) lines.push('keepttl');
  return braces(['cache', ...use.args.map(word)].join(' '), lines);
}

/** A TTL in `denial` also applies to cluster names, so a default one is printed as a comment. */
function denialLine({ denial, cluster }: CacheOptions, use: Line): string {
  const ttls = `${denial.maxTtlSeconds} ${denial.minTtlSeconds}`;
  const isSaid = use.body?.some(({ name, args }) => name.text === 'denial' && args.length > 1);
  if (isSaid === true) return `denial ${denial.capacity} ${ttls}`;
  const { maxTtlSeconds, minTtlSeconds } = cluster.denial;
  return `denial ${denial.capacity} # ${ttls}; names of the cluster ${maxTtlSeconds} ${minTtlSeconds}`;
}

function withZones(head: string, zones: readonly Uint8Array[]): string[] {
  return zones.length === 0 ? [] : [`${head} ${zones.map(nameToText).join(' ')}`];
}

function staleLine(stale: NonNullable<CacheOptions['serveStale']>): string {
  const { windowMs, mode, budgetMs, ttlSeconds, recheckMs } = stale;
  const budget = mode === 'verify' ? [formatDuration(budgetMs)] : [];
  const rest = [...budget, `${ttlSeconds}s`, formatDuration(recheckMs)];
  return ['serve_stale', formatDuration(windowMs), mode, ...rest].join(' ');
}

/** Options of a group of upstreams; options of a single line (`except`, `next`) stay as written. */
const GROUP_OPTIONS = new Set(
  `force_tcp prefer_udp policy max_fails health_check expire max_concurrent max_connect_attempts
  failfast_all_unhealthy_upstreams failover`.split(/\s+/),
);

function forwardLines(use: Line, group: UpstreamGroupOptions): string[] {
  const { recursionDesired, intervalMs, domain } = group.healthCheck;
  const probe = `${recursionDesired ? '' : ' no_rec'} domain ${nameToText(domain)}`;
  const flags = [
    ...(group.forceTcp ? ['force_tcp'] : []),
    ...(group.preferUdp ? ['prefer_udp'] : []),
    ...(group.failFastAllUnhealthy ? ['failfast_all_unhealthy_upstreams'] : []),
  ];
  const failover = group.failoverRcodes.map(rcodeName).join(' ');
  const kept = (use.body ?? []).filter(({ name }) => !GROUP_OPTIONS.has(name.text));
  const [from, ...to] = use.args.map(word);
  // TLS settings stay with the upstream's address.
  const isPlain =
    group.upstreams.every(({ tls }) => tls === undefined) &&
    group.upstreams.length > 0 &&
    group.names === undefined;
  const head = ['forward', from, ...(isPlain ? group.upstreams.map(formatEndpoint) : to)];
  return braces(head.join(' '), [
    ...flags,
    `policy ${group.policy}`,
    `max_fails ${group.maxFails}`,
    `health_check ${formatDuration(intervalMs)}${probe}`,
    `expire ${formatDuration(group.expireMs)}`,
    `max_concurrent ${group.maxConcurrent}`,
    `max_connect_attempts ${group.maxConnectAttempts}`,
    ...(failover === '' ? [] : [`failover ${failover}`]),
    ...kept.flatMap((line) => lineOf(line)),
  ]);
}
