/** `autopath [ZONE...] RESOLV-CONF | @kubernetes | @node`: the walk along a search list, done by the server. */
import type { PodSource } from '../../base/clients/pod-sources.ts';
import { ConfigError, messageOf } from '../../base/errors.ts';
import { podDefaults, searchedClusterDomains } from '../../base/resolv-conf.ts';
import { type ApiAccess, apiAccessReader } from '../../config/corefile/api-access.ts';
import { minArgs, noArgs, onlyUse, readOptions, zonesOf } from '../../config/corefile/args.ts';
import type { Block, Directive, Line, Token } from '../../config/corefile/types.ts';
import { isSubdomain, nameFromText } from '../../dns/name.ts';
import type { Handle } from '../../query/handler.ts';
import { perServer } from '../../query/per-server.ts';
import type { Plugin } from '../../query/plugin.ts';
import type { ApiClient } from '../../query/services/kubernetes.ts';
import type { Counter } from '../../query/services/metrics.ts';
import type { Services } from '../../query/services/services.ts';
import { DeniedExpansions } from './denied-expansions.ts';
import { Autopath, type AutopathResult, type SearchSource } from './handler.ts';
import type { NodeDns } from './pod-search.ts';
import { fileSource, NodeSource } from './sources.ts';

const RESOLV_CONF = '/etc/resolv.conf';
const DEFAULT_CLUSTER_DOMAIN = 'cluster.local';
const MODES = ['@kubernetes', '@node'];

/** Throws ConfigError for an unknown mode, a file without a search list, and a node without a name. */
export function setup(directive: Directive, block: Block, services: Services): Plugin {
  const line = onlyUse(directive);
  const args = minArgs(line, 1);
  const from = args.at(-1) as Token;
  const zoneArgs = args.slice(0, -1);
  const zones = zonesOf(zoneArgs, block);
  const inZones = zoneArgs.length === 0 ? undefined : zones.map(nameFromText);
  if (!from.text.startsWith('@')) {
    readOptions(line, {});
    const source = readFile(from, services);
    const known = whileInForce(source, services);
    return { name: 'autopath', handle: handlerOf(source, inZones, services), ...known };
  }
  if (!MODES.includes(from.text))
    throw new ConfigError(
      from.place,
      `unknown "${from.text}": use @node or @kubernetes, or the path of a resolv.conf`,
    );
  return nodePlugin(line, zones, inZones, block, services);
}

function readFile(path: Token, { files }: Services): SearchSource & PodSource {
  let text: string;
  try {
    text = files.read(path.text);
  } catch (error) {
    const reason = `"${path.text}" cannot be read: ${messageOf(error)}`;
    throw new ConfigError(path.place, reason, { cause: error });
  }
  const source = fileSource(text);
  if (source !== undefined) return source;
  throw new ConfigError(
    path.place,
    `"${path.text}" has no "search" line with a domain, so there is nothing to append: add one, or use @node`,
  );
}

function nodePlugin(
  line: Line,
  zones: readonly string[],
  inZones: readonly Uint8Array[] | undefined,
  block: Block,
  services: Services,
): Plugin {
  const { kubernetes, clock } = services;
  const { nodeName } = kubernetes;
  if (nodeName === undefined)
    throw new ConfigError(
      line.name.place,
      'NODE_NAME is unset, so autopath cannot tell which pods are of this node: set it in the container with ' +
        'fieldRef spec.nodeName, as the kustomize component autopath does',
    );
  const { access, isAwaited } = readBraces(line, block);
  const source = new NodeSource(nodeDns(zones, services), clock);
  const known = whileInForce(source, services);
  let client: ApiClient | undefined;
  const close = (): void => client?.close();
  return {
    name: 'autopath',
    handle: handlerOf(source, inZones, services),
    ...(isAwaited && { ready: () => source.isCurrent }),
    prepare: async () => {
      client = await kubernetes.connect(access);
    },
    start: () => {
      if (client !== undefined) source.start(client, nodeName);
      known.start();
    },
    stop: () => {
      known.stop();
      close();
    },
    discard: close,
  };
}

/** Tells commands what the source knows, from `start` to `stop`. */
function whileInForce(
  source: PodSource,
  { pods }: Services,
): { readonly start: () => void; readonly stop: () => void } {
  let remove: (() => void) | undefined;
  return {
    start: () => {
      remove = pods.add(source);
    },
    stop: () => remove?.(),
  };
}

interface Braces {
  readonly access: ApiAccess;
  /** Whether `/ready` waits for the watch. */
  readonly isAwaited: boolean;
}

/** The directive's own options. Without any about the API server, those of the block's `kubernetes` say where it is. */
function readBraces(line: Line, block: Block): Braces {
  const own = apiAccessReader(line.name.place);
  let isAwaited = false;
  const ready = (option: Line): void => {
    noArgs(option);
    isAwaited = true;
  };
  readOptions(line, { ...own.options, ready });
  const isOwn = line.body?.some(({ name }) => own.options[name.text] !== undefined) === true;
  return { access: isOwn ? own.access() : accessOfKubernetes(line, block), isAwaited };
}

function accessOfKubernetes(line: Line, block: Block): ApiAccess {
  const other = block.directives.find(({ name }) => name === 'kubernetes')?.uses[0];
  const reader = apiAccessReader(line.name.place);
  for (const option of other?.body ?? []) reader.options[option.name.text]?.(option);
  return reader.access();
}

/**
 * The cluster domain is the first zone that is a name, or the one in the agent's own resolv.conf. The node's domains are
 * those in it, without the cluster's where the agent's pod has them.
 */
function nodeDns(zones: readonly string[], { files }: Services): NodeDns {
  let text = '';
  try {
    text = files.read(RESOLV_CONF);
  } catch {
    // Without the file the node has no search domains.
  }
  const { search, ndots } = podDefaults(text);
  const searched = searchedClusterDomains({ search });
  const zone = zones.find((one) => one !== '.' && !one.endsWith('.arpa.'))?.replace(/\.$/, '');
  const clusterDomain = zone ?? searched[0] ?? DEFAULT_CLUSTER_DOMAIN;
  const isOfCluster = (domain: string): boolean =>
    searched.some((own) => domain === own || `.${domain}`.endsWith(`.svc.${own}`));
  return {
    clusterDomain,
    search: search.filter((domain) => !isOfCluster(domain.toLowerCase())),
    // The options of a pod whose DNS is the cluster's are not the node's.
    ndots: searched.length > 0 ? undefined : ndots,
  };
}

function handlerOf(
  source: SearchSource,
  inZones: readonly Uint8Array[] | undefined,
  { metrics, clock, ledger, resolveNow }: Services,
): Handle {
  const successes = perServer((server) =>
    metrics.counter('coredns_autopath_success_total', { server }),
  );
  const denied = new DeniedExpansions(metrics);
  const results = new Map<AutopathResult, Counter>();
  const counterOf = (result: AutopathResult): Counter => {
    const counter = results.get(result) ?? metrics.counter('nodens_autopath_total', { result });
    results.set(result, counter);
    return counter;
  };
  const { handle } = new Autopath({
    ...{ source, clock, ledger, resolveNow },
    count: (result, { server }) => {
      counterOf(result).value++;
      if (result === 'found') successes(server).value++;
    },
    onDenied: ({ namespace }) => denied.count(namespace),
  });
  if (inZones === undefined) return handle;
  return (query, next) =>
    inZones.some((zone) => isSubdomain(query.name, zone)) ? handle(query, next) : next(query);
}
