/** Valid settings that cause trouble: `nodens check` prints each with its position. */

import type { Place } from '../../base/errors.ts';
import { formatDuration } from '../../base/text/duration.ts';
import { heavyPatterns } from '../../config/corefile/pattern.ts';
import type { Block, Directive, Line } from '../../config/corefile/types.ts';
import type { CacheOptions } from '../../query/services/cache.ts';
import type { UpstreamGroupOptions } from '../../query/services/upstreams.ts';
import type { DryRun } from './dry-run.ts';
import { isWithin, wordWarnings } from './word-warnings.ts';

/** A finding that does not keep the agent from starting. */
export interface Warning {
  readonly place: Place;
  readonly text: string;
}

/** A block with the effective options of its directives. */
interface Meant {
  readonly block: Block;
  readonly cache: CacheOptions | undefined;
  readonly forwards: readonly { readonly use: Line; readonly group: UpstreamGroupOptions }[];
}

/** Longest time to store a failure that causes no noticeable delay. */
const LONG_SERVFAIL_MS = 10_000;
/** Ports that a pod in the host network shares with the node, by their usual owner. */
const NODE_PORTS: ReadonlyMap<number, string> = new Map([
  [10_248, 'the kubelet'],
  [10_249, 'kube-proxy'],
  [10_250, 'the kubelet'],
  [10_256, 'kube-proxy'],
  [9_100, 'the Prometheus node exporter'],
]);
const LOOPBACK = /^(localhost|127\.[\d.]+|\[::1\]):|^unix:/;
/** Directives that answer queries. The others only act on the answers of these. */
const ANSWERING = new Set(
  'forward whoami hosts kubernetes template file any chaos local acl rewrite dns64'.split(' '),
);

/** `clusterDomain` is lower case with trailing dot. */
export function warningsOf(run: DryRun, clusterDomain: string): Warning[] {
  const { caches, groups, serverConfig } = run;
  const { blocks } = serverConfig.corefile;
  const nextCache = caches[Symbol.iterator]();
  const nextGroup = groups[Symbol.iterator]();
  const meant = blocks.map((block): Meant => {
    const cache = find(block, 'cache') && (nextCache.next().value as CacheOptions);
    const forwards = (find(block, 'forward')?.uses ?? []).map((use) => ({
      use,
      group: nextGroup.next().value as UpstreamGroupOptions,
    }));
    return { block, cache, forwards };
  });
  return [
    ...meant.flatMap((one) => [
      ...aboutBlock(one),
      ...aboutForwards(one, clusterDomain),
      ...aboutStatus(one.block),
      ...wordWarnings(one.block),
    ]),
    ...missingClusterDomain(meant, clusterDomain),
    ...adminPorts(run),
    ...slowPatterns(),
  ];
}

function find(block: Block, name: string): Directive | undefined {
  return block.directives.find((directive) => directive.name === name);
}

function* aboutBlock({ block, cache, forwards }: Meant): Iterable<Warning> {
  const { place, directives } = block;
  if (!directives.some(({ name }) => ANSWERING.has(name)))
    yield { place, text: 'no plugin of this block answers: every query for its zones is refused' };
  if (find(block, 'kubernetes') !== undefined && forwards.length === 0)
    yield {
      place: find(block, 'kubernetes')?.place ?? place,
      text: 'kubernetes without forward: cluster names fail until the API server has been read',
    };
  if (forwards.length > 0 && cache === undefined)
    yield { place, text: 'no cache: every query goes upstream, and nothing is left in an outage' };
  if (cache !== undefined && cache.servfailMs > LONG_SERVFAIL_MS) {
    const duration = formatDuration(cache.servfailMs);
    const stale = cache.serveStale === undefined ? '' : ', while serve_stale waits to help';
    const text = `servfail ${duration}: names that failed stay failed that long after the upstream is back${stale}`;
    yield { place: find(block, 'cache')?.place ?? place, text };
  }
  if (find(block, 'errors') === undefined && forwards.length > 0)
    yield { place, text: 'no errors: failures of upstreams are not logged' };
}

function* aboutForwards({ block, forwards }: Meant, clusterDomain: string): Iterable<Warning> {
  const zones = block.keys.map((key) => key.zone);
  const isExternal = zones.some((zone) => !isClusterZone(zone, clusterDomain));
  const taken = new Set<string>();
  for (const { use, group } of forwards) {
    const { place } = use.name;
    const from = `${(use.args[0]?.text ?? '.').toLowerCase().replace(/\.$/, '')}.`;
    if (isExternal && group.forceTcp)
      yield {
        place,
        text: 'force_tcp for a zone outside the cluster: many resolvers limit or refuse TCP',
      };
    if (taken.has(from))
      yield { place, text: `never asked: an earlier forward takes all of ${from}` };
    if (!/\//.test(from) && !zones.some((zone) => isWithin(from, zone) || isWithin(zone, from)))
      yield { place, text: `never asked: ${from} is not in this block's zones` };
    if (!use.body?.some(({ name }) => /^(except|next)/.test(name.text))) taken.add(from);
  }
}

/** The page asks for no password. */
function* aboutStatus(block: Block): Iterable<Warning> {
  const address = find(block, 'status')?.uses[0]?.args[0];
  if (address === undefined || LOOPBACK.test(address.text)) return;
  const text =
    `status ${address.text}: each pod that reaches this address can read which names others ask for; ` +
    'on 127.0.0.1 only the node can';
  yield { place: address.place, text };
}

function isClusterZone(zone: string, clusterDomain: string): boolean {
  return [clusterDomain, 'in-addr.arpa.', 'ip6.arpa.'].some((known) => isWithin(zone, known));
}

/**
 * Without it, cluster names go to the same upstreams as all others, which only works if those are the cluster's DNS.
 */
function* missingClusterDomain(meant: readonly Meant[], clusterDomain: string): Iterable<Warning> {
  const zones = meant.flatMap(({ block }) => block.keys.map(({ zone }) => zone));
  if (zones.some((zone) => zone !== '.' && isWithin(clusterDomain, zone))) return;
  if (meant.some(({ block }) => find(block, 'kubernetes') !== undefined)) return;
  const root = meant.find(
    ({ block, forwards }) =>
      block.keys.some(({ zone }) => zone === '.') &&
      forwards.some(({ use }) => use.args.some(({ text }) => text.startsWith('/'))),
  );
  if (root === undefined) return;
  const text =
    `no block for the cluster domain ${clusterDomain}: its names go to the resolvers of the ` +
    'node, which do not know them';
  yield { place: root.block.place, text };
}

/** HTTP endpoints whose port is usually taken. */
function* adminPorts({ serverConfig }: DryRun): Iterable<Warning> {
  const place = { file: serverConfig.corefile.file, line: 1 };
  const { adminRoutes, metricsPages, statusPages } = serverConfig;
  const routes = adminRoutes.map(({ address }) => address);
  const addresses = new Set([...routes, ...metricsPages.keys(), ...statusPages]);
  const hosts = new Map<number, Set<string>>();
  for (const address of addresses) {
    const port = Number(address.slice(address.lastIndexOf(':') + 1));
    const host = address.slice(0, address.lastIndexOf(':'));
    hosts.set(port, (hosts.get(port) ?? new Set()).add(host));
    const owner = NODE_PORTS.get(port);
    if (owner !== undefined)
      yield { place, text: `${address}: port ${port} belongs to ${owner} on most nodes` };
  }
  for (const [port, all] of hosts) {
    if (all.size > 1 && [...all].some((host) => ['', '0.0.0.0', '[::]'].includes(host)))
      yield { place, text: `port ${port} is asked for on every address and on one of them` };
  }
}

/** The engine is linear in the length of a name, so a pattern's size is what a name can cost. */
function* slowPatterns(): Iterable<Warning> {
  for (const { place, shown, instructions } of heavyPatterns())
    yield {
      place,
      text:
        `${shown} needs ${instructions} steps for each character of a name, so that a long name may hold all queries ` +
        `for ${Math.ceil((instructions * 255 * 40) / 1e6)} ms: repeat less`,
    };
}
