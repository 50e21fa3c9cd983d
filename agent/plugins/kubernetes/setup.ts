/** `kubernetes [ZONES…] { … }`: names of the cluster, answered on the node from a watch of the API server. */
import { ConfigError, type Place } from '../../base/errors.ts';
import { onlyUse } from '../../config/corefile/args.ts';
import type { Block, Directive } from '../../config/corefile/types.ts';
import type { Plugin } from '../../query/plugin.ts';
import type { Services } from '../../query/services/services.ts';
import { type ClusterOptions, type HeldCluster, holdCluster, publishClusters } from './clusters.ts';
import { kubernetesHandler, type Source } from './handler.ts';
import { type KubernetesOptions, readKubernetes } from './options.ts';
import { ownAddresses } from './own-addresses.ts';

/** Longest silence of a watch that is well, as a share of `max_age`: it must never seem old. */
const CONTACT_SHARE = 2 / 3;

/** Connects to nothing before `prepare`. Throws ConfigError for a second use and for contradicting options. */
export function setup(directive: Directive, block: Block, services: Services): Plugin {
  const options = readKubernetes(onlyUse(directive), block);
  const preferredNode = options.prefersZone ? nodeOf(options.access.place, services) : undefined;
  let held: HeldCluster | undefined;
  const source = (): Source | undefined => {
    if (held === undefined) return undefined;
    const { cluster } = held;
    const { records, serial } = cluster;
    return { records, serial, state: cluster.state(options.maxAgeMs) };
  };
  const release = (): void => {
    held?.release();
    held = undefined;
  };
  const handlerOptions = { ...options, ownAddresses: ownAddresses(services.block) };
  return {
    name: 'kubernetes',
    handle: kubernetesHandler(handlerOptions, source, services),
    ...(options.isAwaited && { ready: () => source()?.state === 'current' }),
    prepare: async () => {
      held = await holdCluster(clusterOptions(options, preferredNode), services);
      await held.cluster.settled(options.startupMs);
    },
    start: () => publishClusters(services),
    discard: release,
    stop: release,
  };
}

/** Whose zone is that of the agent. Throws ConfigError where the agent does not know its node. */
function nodeOf(place: Place, { kubernetes: { nodeName } }: Services): string {
  if (nodeName !== undefined) return nodeName;
  throw new ConfigError(
    place,
    'NODE_NAME is unset, so topology cannot tell the zone of this node: set it in the container with fieldRef spec.nodeName',
  );
}

function clusterOptions(
  options: KubernetesOptions,
  preferredNode: string | undefined,
): ClusterOptions {
  const { access, labels, namespaceLabels, namespaces, usesPodNames, maxAgeMs } = options;
  return {
    access,
    labels,
    namespaceLabels,
    namespaces: [...namespaces].sort(),
    watchesEndpoints: options.hasEndpoints,
    watchesPods: options.pods === 'verified',
    usesPodNames,
    preferredNode,
    contactEveryMs: maxAgeMs * CONTACT_SHARE,
  };
}
