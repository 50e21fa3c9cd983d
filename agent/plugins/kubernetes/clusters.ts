/**
 * The clusters of the process. Directives that want the same objects share one: those of other blocks, and those before
 * and after a reload, which then lists nothing again.
 */
import { Cluster, type ClusterOptions, type ClusterParts } from './cluster.ts';

/** What is watched. */
export type { ClusterOptions };

/** A cluster in use: release it when it is no longer queried. */
export interface HeldCluster {
  readonly cluster: Cluster;
  release(): void;
}

interface Shared {
  readonly made: Promise<Cluster>;
  /** Once it is made. */
  cluster: Cluster | undefined;
  users: number;
}

const byApi = new WeakMap<ClusterParts['kubernetes'], Map<string, Shared>>();

/** The cluster of these options: a known one, or a new one whose watches begin now. Rejects as `connect` does. */
export async function holdCluster(
  options: ClusterOptions,
  parts: ClusterParts,
): Promise<HeldCluster> {
  const { kubernetes } = parts;
  const clusters = byApi.get(kubernetes) ?? new Map<string, Shared>();
  byApi.set(kubernetes, clusters);
  const key = identityOf(options);
  const shared = clusters.get(key) ?? {
    made: connected(options, parts),
    cluster: undefined,
    users: 0,
  };
  clusters.set(key, shared);
  shared.users++;
  let isHeld = true;
  const release = (): void => {
    if (!isHeld) return;
    isHeld = false;
    if (--shared.users > 0) return;
    clusters.delete(key);
    shared.made.then(
      (cluster) => cluster.close(),
      () => undefined,
    );
  };
  try {
    shared.cluster = await shared.made;
    return { cluster: shared.cluster, release };
  } catch (error) {
    release();
    throw error;
  }
}

async function connected(options: ClusterOptions, parts: ClusterParts): Promise<Cluster> {
  return new Cluster(options, parts, await parts.kubernetes.connect(options.access));
}

/** Equal for options that mean the same objects of the same API server, wherever they are written. */
function identityOf({ access, ...options }: ClusterOptions): string {
  const { endpoint, tls, kubeconfig, requestsPerSecond, burst } = access;
  const files = [tls?.cert, tls?.key, tls?.ca, kubeconfig?.path, kubeconfig?.context];
  const words = [endpoint, ...files].map((word) => word?.text ?? '');
  return JSON.stringify([words, requestsPerSecond, burst, options]);
}

const KINDS = ['namespaces', 'services', 'endpoints', 'pods', 'addresses'] as const;

/** Publishes how many objects all clusters of the process hold. */
export function publishClusters({ kubernetes, metrics }: ClusterParts): void {
  for (const kind of KINDS) {
    metrics.gaugeFrom('nodens_kubernetes_objects', { kind }, () => {
      const clusters = [...(byApi.get(kubernetes)?.values() ?? [])];
      return clusters.reduce((sum, { cluster }) => sum + (cluster?.records.counts[kind] ?? 0), 0);
    });
  }
}
