/** Pods of nodens as rows, worst first. Reads only what the API server says of them: no pod is asked. */

/** A pod as a row. */
export interface PodRow {
  readonly node: string;
  readonly pod: string;
  /** `ready`, or what is wrong, in Kubernetes' words. */
  readonly state: string;
  readonly isReady: boolean;
  /** Whether it is being deleted: an old pod of an update. */
  readonly isLeaving: boolean;
  readonly restarts: number;
  /** Why a container ended last, and when (RFC 3339). */
  readonly lastEnd?: { readonly reason: string; readonly at: string } | undefined;
  /** RFC 3339. */
  readonly startedAt: string;
  /** Of the container that answers DNS. */
  readonly image: string;
}

/** JSON of the API server: every field may be missing. */
interface Pod {
  readonly metadata?: {
    readonly name?: string;
    readonly deletionTimestamp?: string;
    readonly creationTimestamp?: string;
  };
  readonly spec?: {
    readonly nodeName?: string;
    readonly containers?: readonly { readonly image?: string }[];
  };
  readonly status?: {
    readonly phase?: string;
    readonly reason?: string;
    readonly conditions?: readonly {
      readonly type?: string;
      readonly status?: string;
      readonly message?: string;
    }[];
    readonly containerStatuses?: readonly ContainerStatus[];
    readonly initContainerStatuses?: readonly ContainerStatus[];
  };
}

interface ContainerStatus {
  readonly name?: string;
  readonly restartCount?: number;
  readonly state?: { readonly waiting?: { readonly reason?: string } };
  readonly lastState?: {
    readonly terminated?: { readonly reason?: string; readonly finishedAt?: string };
  };
}

/** Reads a pod. */
export function podRow(object: object): PodRow {
  const { metadata = {}, spec = {}, status = {} } = object as Pod;
  const containers = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
  const ends = containers.flatMap(({ lastState }) => lastState?.terminated ?? []);
  const last = ends.toSorted((a, b) => (b.finishedAt ?? '').localeCompare(a.finishedAt ?? ''))[0];
  const isLeaving = metadata.deletionTimestamp !== undefined;
  const isReady =
    !isLeaving && status.conditions?.some((one) => one.type === 'Ready' && one.status === 'True');
  return {
    node: spec.nodeName ?? '-',
    pod: metadata.name ?? '-',
    state: isReady === true ? 'ready' : faultOf(status, containers, isLeaving),
    ...{ isReady: isReady === true, isLeaving },
    restarts: containers.reduce((sum, { restartCount = 0 }) => sum + restartCount, 0),
    lastEnd: last && { reason: last.reason ?? 'unknown', at: last.finishedAt ?? '' },
    startedAt: metadata.creationTimestamp ?? '',
    image: spec.containers?.[0]?.image ?? '-',
  };
}

function faultOf(
  { phase = 'Unknown', reason, conditions = [] }: NonNullable<Pod['status']>,
  containers: readonly ContainerStatus[],
  isLeaving: boolean,
): string {
  if (isLeaving) return 'ends';
  const waiting = containers.find(({ state }) => state?.waiting?.reason !== undefined);
  if (waiting !== undefined) return `${waiting.name}: ${waiting.state?.waiting?.reason}`;
  if (phase !== 'Running') return reason === undefined ? phase : `${phase}: ${reason}`;
  const message = conditions.find(({ type }) => type === 'Ready')?.message;
  return `not ready${message === undefined ? '' : `: ${message}`}`;
}

/** Nodes without a ready pod first, then pods that are not ready, then by restarts. */
export function worstFirst(rows: readonly PodRow[]): readonly PodRow[] {
  const served = servedNodes(rows);
  const rank = (row: PodRow): number => {
    if (row.isReady) return 2;
    return served.has(row.node) || row.isLeaving ? 1 : 0;
  };
  return rows.toSorted(
    (a, b) => rank(a) - rank(b) || b.restarts - a.restarts || a.node.localeCompare(b.node),
  );
}

/** Nodes with a ready pod. */
export function servedNodes(rows: readonly PodRow[]): ReadonlySet<string> {
  return new Set(rows.filter(({ isReady }) => isReady).map(({ node }) => node));
}

/** The DaemonSet that the pods belong to, as far as the user may see it. */
export interface Rollout {
  readonly name: string;
  readonly wanted: number;
  readonly updated: number;
  /** Whether the numbers are those of its newest specification. */
  readonly isObserved: boolean;
}

/** Kubernetes counts versions of a specification under this name. */
const VERSION_OF_SPEC = 'generation';

/** Reads a DaemonSet. */
export function rolloutOf(object: object): Rollout {
  const { metadata = {}, status = {} } = object as {
    readonly metadata?: Readonly<Record<string, unknown>>;
    readonly status?: {
      readonly desiredNumberScheduled?: number;
      readonly updatedNumberScheduled?: number;
      readonly observedGeneration?: number;
    };
  };
  return {
    name: String(metadata.name ?? '-'),
    wanted: status.desiredNumberScheduled ?? 0,
    updated: status.updatedNumberScheduled ?? 0,
    isObserved: (status.observedGeneration ?? 0) >= Number(metadata[VERSION_OF_SPEC] ?? 0),
  };
}

/** Whether every node is served, and every DaemonSet that is seen has rolled out. */
export function isComplete(rows: readonly PodRow[], rollouts: readonly Rollout[]): boolean {
  const served = servedNodes(rows);
  const nodes = new Set(rows.filter(({ isLeaving }) => !isLeaving).map(({ node }) => node));
  const wanted = rollouts.reduce((sum, one) => sum + one.wanted, 0);
  return (
    served.size > 0 &&
    [...nodes].every((node) => served.has(node)) &&
    served.size >= wanted &&
    rollouts.every((one) => one.isObserved && one.updated >= one.wanted)
  );
}
