/** The pods of this node by address: which search list a client has, and when the agent must not be sure of it. */
import { addressBytes, familyOf, formatAddress } from '../../base/address.ts';
import type { KnownPod } from '../../base/clients/pod-sources.ts';
import type { Clock } from '../../base/clock.ts';
import type { ApiObject } from '../../query/services/kubernetes.ts';
import { type NodeDns, podSearchList } from './pod-search.ts';
import { type SearchList, searchPath } from './search-list.ts';

/** What is kept of a pod. */
export interface PodRecord {
  readonly uid: string;
  /** In the form of `formatAddress`. */
  readonly addresses: readonly string[];
  readonly isHostNetwork: boolean;
  /** Whether its deletion has begun: its address will be another pod's. */
  readonly isLeaving: boolean;
  readonly list: SearchList | undefined;
}

/**
 * Why a client gets no autopath: no pod has its address; the pod uses the host network; two pods have the address; it
 * changed hands lately, or is about to.
 */
export type Doubt = 'unknown_client' | 'host_network' | 'shared_address' | 'changed_address';

/** How long an address is in doubt after it has got another pod, milliseconds. */
const CHANGED_MS = 10_000;
/** How long the last pod of a free address is remembered, milliseconds, and for how many addresses. */
const REMEMBERED_MS = 600_000;
const MAX_FREE = 1_024;

interface AddressState {
  readonly pods: Map<string, PodRecord>;
  /** The pod, if it is the only one. */
  only: PodRecord | undefined;
  lastUid: string;
  changedMs: number;
  freedMs: number;
}

/** Kept up to date by a watch; `find` runs for queries. */
export class PodTable {
  readonly #clock: Clock;
  readonly #pods = new Map<string, PodRecord>();
  readonly #addresses = new Map<string, AddressState>();
  #lists: readonly SearchList[] | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The different lists of all pods; the same array until pods change. */
  get lists(): readonly SearchList[] {
    this.#lists ??= [...new Set([...this.#pods.values()].flatMap(({ list }) => list ?? []))];
    return this.#lists;
  }

  put(key: string, pod: PodRecord): void {
    const before = this.#pods.get(key);
    this.#pods.set(key, pod);
    this.#lists = undefined;
    for (const address of before?.addresses ?? [])
      if (!pod.addresses.includes(address)) this.#leave(address, key);
    for (const address of pod.addresses) this.#join(address, key, pod);
  }

  delete(key: string): void {
    const pod = this.#pods.get(key);
    this.#pods.delete(key);
    this.#lists = undefined;
    for (const address of pod?.addresses ?? []) this.#leave(address, key);
    this.#forget();
  }

  /** `nowMs` is the arrival of the query. */
  find(address: string, nowMs: number): PodRecord | Doubt {
    const state = this.#addresses.get(address);
    if (state === undefined || state.pods.size === 0) return 'unknown_client';
    const pod = state.only;
    if (pod === undefined)
      return [...state.pods.values()].some((one) => one.isHostNetwork)
        ? 'host_network'
        : 'shared_address';
    if (pod.isHostNetwork) return 'host_network';
    const isRecent = nowMs - state.changedMs < CHANGED_MS;
    return isRecent || pod.isLeaving ? 'changed_address' : pod;
  }

  /** For an operator: the only pod of an address, though it may have got it just now. */
  at(address: string): KnownPod | undefined {
    const pods = [...(this.#addresses.get(address)?.pods ?? [])];
    const [first] = pods;
    return pods.length === 1 && first !== undefined ? knownPod(...first) : undefined;
  }

  /** For an operator: pods with this `name` or `namespace/name`. */
  named(name: string): readonly KnownPod[] {
    return [...this.#pods]
      .filter(([key]) => key === name || key.endsWith(`/${name}`))
      .map(([key, pod]) => knownPod(key, pod));
  }

  #join(address: string, key: string, pod: PodRecord): void {
    const nowMs = this.#clock.nowMs();
    let state = this.#addresses.get(address);
    if (state === undefined) {
      state = {
        pods: new Map(),
        only: undefined,
        lastUid: pod.uid,
        changedMs: Number.NEGATIVE_INFINITY,
        freedMs: 0,
      };
      this.#addresses.set(address, state);
    }
    if (state.lastUid !== pod.uid) state.changedMs = nowMs;
    state.lastUid = pod.uid;
    state.pods.set(key, pod);
    state.only = onlyOf(state.pods);
  }

  #leave(address: string, key: string): void {
    const state = this.#addresses.get(address);
    if (state?.pods.delete(key) !== true) return;
    state.only = onlyOf(state.pods);
    // Of two pods with one address, either may be the one that has it now.
    state.changedMs = this.#clock.nowMs();
    state.freedMs = state.changedMs;
  }

  /** Drops addresses that have been free for long, and the oldest if there are too many. */
  #forget(): void {
    const free = [...this.#addresses].filter(([, { pods }]) => pods.size === 0);
    const limitMs = this.#clock.nowMs() - REMEMBERED_MS;
    const surplus = free.length - MAX_FREE;
    for (const [index, [address, { freedMs }]] of free.entries())
      if (freedMs < limitMs || index < surplus) this.#addresses.delete(address);
  }
}

function knownPod(name: string, { addresses, isHostNetwork, list }: PodRecord): KnownPod {
  return { name, addresses, isHostNetwork, search: list && searchPath(list) };
}

function onlyOf(pods: ReadonlyMap<string, PodRecord>): PodRecord | undefined {
  return pods.size === 1 ? pods.values().next().value : undefined;
}

/** Reads a pod; undefined for one that has no address (any more). Lists that are equal are one object. */
export class PodReader {
  readonly #node: NodeDns;
  readonly #lists = new Map<string, SearchList | undefined>();

  constructor(node: NodeDns) {
    this.#node = node;
  }

  read(object: ApiObject): PodRecord | undefined {
    const { metadata, spec, status } = object as unknown as Partial<PodObject>;
    // A pod that has ended keeps its address in its status; the network has given it back.
    if (status?.phase === 'Succeeded' || status?.phase === 'Failed') return undefined;
    const addresses = addressesOf(status ?? {});
    if (addresses.length === 0) return undefined;
    const namespace = String(metadata?.namespace ?? '');
    const { hostNetwork, dnsPolicy, dnsConfig } = spec ?? {};
    const isHostNetwork = hostNetwork === true;
    return {
      ...{ addresses, isHostNetwork },
      uid: String(metadata?.uid ?? ''),
      isLeaving: metadata?.deletionTimestamp !== undefined,
      list: isHostNetwork ? undefined : this.#listOf(namespace, String(dnsPolicy ?? ''), dnsConfig),
    };
  }

  #listOf(namespace: string, dnsPolicy: string, dnsConfig: unknown): SearchList | undefined {
    const pod = { namespace, dnsPolicy, dnsConfig };
    const text = JSON.stringify(pod);
    if (!this.#lists.has(text)) {
      if (this.#lists.size >= MAX_FREE) this.#lists.clear();
      this.#lists.set(text, podSearchList(pod, this.#node));
    }
    return this.#lists.get(text);
  }
}

interface PodObject {
  readonly metadata: { namespace?: unknown; uid?: unknown; deletionTimestamp?: unknown };
  readonly spec: { hostNetwork?: unknown; dnsPolicy?: unknown; dnsConfig?: unknown };
  readonly status: PodStatus;
}

interface PodStatus {
  readonly phase?: unknown;
  readonly podIP?: unknown;
  readonly podIPs?: unknown;
}

function addressesOf({ podIP, podIPs }: PodStatus): string[] {
  const listed = Array.isArray(podIPs) ? podIPs.map((one: { ip?: unknown } | null) => one?.ip) : [];
  const texts = [podIP, ...listed].filter((one) => typeof one === 'string');
  const valid = texts.filter((one) => familyOf(one) !== undefined);
  return [...new Set(valid.map((one) => formatAddress(addressBytes(one))))];
}
