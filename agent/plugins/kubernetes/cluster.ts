/** The records of one cluster, kept up to date by watches. */
import type { Timer } from '../../base/clock.ts';
import type { ApiAccess } from '../../config/corefile/api-access.ts';
import type { ApiClient, ApiObject, Watch, WatchOptions } from '../../query/services/kubernetes.ts';
import type { Histogram } from '../../query/services/metrics.ts';
import type { Services } from '../../query/services/services.ts';
import {
  keyOf,
  type NamedSlice,
  namespaceOf,
  nodeZoneOf,
  podOf,
  serviceOf,
  sliceOf,
} from './objects.ts';
import { Records } from './records.ts';

/** What is watched. */
export interface ClusterOptions {
  readonly access: ApiAccess;
  /** Label selectors; '' for all objects. */
  readonly labels: string;
  readonly namespaceLabels: string;
  /** Names of the only namespaces that count; empty for all. */
  readonly namespaces: readonly string[];
  readonly watchesEndpoints: boolean;
  readonly watchesPods: boolean;
  readonly usesPodNames: boolean;
  /** The node whose zone is preferred; undefined prefers none. */
  readonly preferredNode: string | undefined;
  /** How often the API server must be heard, milliseconds. */
  readonly contactEveryMs: number;
}

/**
 * - `unsynced`: not every object has been seen yet, so that a missing name proves nothing;
 * - `current`: as the API server has it, but for what is under way;
 * - `old`: the API server has not been heard for too long.
 */
export type ClusterState = 'unsynced' | 'current' | 'old';

const SERVICES = '/api/v1/services';
const SLICES = '/apis/discovery.k8s.io/v1/endpointslices';
const NAMESPACES = '/api/v1/namespaces';
const PODS = '/api/v1/pods';
const NODES = '/api/v1/nodes';
/** Pods that have ended are of no interest; the API server leaves them out, as CoreDNS asks it to. */
const LIVE_PODS = 'status.phase!=Succeeded,status.phase!=Failed,status.phase!=Unknown';

/** Longer than any change takes to get here. */
const MAX_PROGRAMMING_MS = 600_000;

/** What a cluster uses of its process. */
export type ClusterParts = Pick<Services, 'clock' | 'kubernetes' | 'log' | 'metrics'>;

/** One cluster as one set of options sees it. */
export class Cluster {
  readonly records = new Records();
  readonly #options: ClusterOptions;
  readonly #parts: ClusterParts;
  readonly #client: ApiClient;
  readonly #watches: Watch[] = [];
  readonly #startedMs: number;
  /** Called once when the wait for the first sync is over. */
  #waiters: (() => void)[] = [];
  #serial: number;
  readonly #durations: Histogram;

  constructor(options: ClusterOptions, parts: ClusterParts, client: ApiClient) {
    this.#options = options;
    this.#parts = parts;
    this.#client = client;
    this.#startedMs = parts.clock.nowMs();
    this.#durations = parts.metrics.histogram(
      'coredns_kubernetes_dns_programming_duration_seconds',
      { service_kind: 'headless_with_selector' },
    );
    this.#serial = this.#now();
    this.#watchAll();
  }

  /** Unix seconds of the last change. */
  get serial(): number {
    return this.#serial;
  }

  /** `limitMs`: how long the API server may not have been heard. */
  state(limitMs: number): ClusterState {
    const oldestMs = this.#parts.clock.nowMs() - limitMs;
    let state: ClusterState = 'current';
    for (const { state: known } of this.#watches) {
      if (!known.isSynced) return 'unsynced';
      if ((known.lastContactMs ?? 0) < oldestMs) state = 'old';
    }
    return state;
  }

  /**
   * Resolves when all objects have been seen once, when the API server cannot be reached, or `timeoutMs` after the
   * watches began: a start must not wait for an API server that is away.
   */
  async settled(timeoutMs: number): Promise<void> {
    const { clock } = this.#parts;
    const leftMs = this.#startedMs + timeoutMs - clock.nowMs();
    if (this.#isSettled() || leftMs <= 0) return;
    let timer: Timer | undefined;
    await new Promise<void>((resolve) => {
      timer = clock.after(leftMs, resolve);
      this.#waiters.push(resolve);
    });
    timer?.cancel();
  }

  close(): void {
    this.#client.close();
  }

  #isSettled(): boolean {
    return this.#watches.every(({ state }) => state.isSynced || state.failure !== undefined);
  }

  #watchAll(): void {
    const { labels, namespaceLabels, watchesEndpoints, watchesPods } = this.#options;
    const { records } = this;
    this.#watch({
      path: NAMESPACES,
      labelSelector: namespaceLabels || undefined,
      strip: (object) => this.#chosen(namespaceOf(object)),
      onPut: (name) => records.setNamespace(name),
      onDelete: (name) => records.deleteNamespace(name),
    });
    this.#watch({
      path: SERVICES,
      labelSelector: labels || undefined,
      strip: (object) => (this.#isChosen(object) ? serviceOf(object) : undefined),
      onPut: (_key, { namespace, name, kept }) => records.setService(namespace, name, kept),
      onDelete: (key) => records.deleteService(...partsOf(key)),
    });
    if (watchesEndpoints) this.#watchSlices();
    if (watchesPods)
      this.#watch({
        path: PODS,
        labelSelector: labels || undefined,
        fieldSelector: LIVE_PODS,
        strip: (object) => (this.#isChosen(object) ? podOf(object) : undefined),
        onPut: (_key, { namespace, name, kept }) => records.setPod(namespace, name, kept),
        onDelete: (key) => records.deletePod(...partsOf(key)),
      });
  }

  #watchSlices(): void {
    const { records } = this;
    const { labels, usesPodNames, preferredNode } = this.#options;
    const kept = { usesPodNames, keepsZones: preferredNode !== undefined };
    const watch = this.#watch({
      path: SLICES,
      labelSelector: labels || undefined,
      strip: (object) => (this.#isChosen(object) ? sliceOf(object, kept) : undefined),
      onPut: (_key, slice) => {
        records.setSlice(slice.namespace, slice.name, slice.service, slice.kept);
        if (watch.state.isSynced) this.#measure(slice);
      },
      onDelete: (key) => records.deleteSlice(...partsOf(key)),
    });
    if (preferredNode === undefined) return;
    // Not among the watches that answers wait for: without the node's zone no endpoint is preferred.
    this.#client.watch({
      path: NODES,
      fieldSelector: `metadata.name=${preferredNode}`,
      strip: nodeZoneOf,
      onPut: (_key, zone) => {
        records.nodeZone = zone;
      },
      onDelete: () => {
        records.nodeZone = '';
      },
    });
  }

  /** CoreDNS measures headless Services only: others do not change with their endpoints. */
  #measure({ namespace, service, changedMs }: NamedSlice): void {
    const node = this.records.namespace(namespace)?.services.get(service);
    if (node?.service?.kind !== 'headless') return;
    const durationMs = this.#parts.clock.wallMs() - changedMs;
    // An object that comes again for another reason has its old time.
    if (durationMs >= 0 && durationMs <= MAX_PROGRAMMING_MS)
      this.#durations.observe(durationMs / 1_000);
  }

  #watch<Item>(options: WatchOptions<Item>): Watch {
    const { contactEveryMs } = this.#options;
    const watch = this.#client.watch<Item>({
      ...options,
      contactEveryMs,
      onPut: (key, item) => {
        this.#serial = this.#now();
        options.onPut(key, item);
      },
      onDelete: (key) => {
        this.#serial = this.#now();
        options.onDelete(key);
      },
      onSync: () => this.#settle(),
      onState: () => this.#settle(),
    });
    this.#watches.push(watch);
    return watch;
  }

  #settle(): void {
    if (this.#waiters.length === 0 || !this.#isSettled()) return;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const resolve of waiters) resolve();
  }

  #chosen(namespace: string | undefined): string | undefined {
    const { namespaces } = this.#options;
    if (namespace === undefined || namespaces.length === 0) return namespace;
    return namespaces.includes(namespace) ? namespace : undefined;
  }

  #isChosen(object: ApiObject): boolean {
    if (this.#options.namespaces.length === 0) return true;
    return this.#chosen(keyOf(object)?.namespace) !== undefined;
  }

  #now(): number {
    return Math.floor(this.#parts.clock.wallMs() / 1_000);
  }
}

/** `namespace/name` in two. */
function partsOf(key: string): [namespace: string, name: string] {
  const slash = key.indexOf('/');
  return [key.slice(0, slash), key.slice(slash + 1)];
}
