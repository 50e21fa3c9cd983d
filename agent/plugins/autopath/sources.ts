/** Where search lists come from. */
import type { PodSource } from '../../base/clients/pod-sources.ts';
import type { Clock } from '../../base/clock.ts';
import { podDefaults } from '../../base/resolv-conf.ts';
import type { Query } from '../../query/query.ts';
import type { ApiClient, Watch } from '../../query/services/kubernetes.ts';
import type { NoList, SearchSource } from './handler.ts';
import type { NodeDns } from './pod-search.ts';
import { PodReader, PodTable } from './pods.ts';
import { endsWith, type SearchList, searchList, searchPath } from './search-list.ts';

/** One list for every client, as in a resolv.conf; undefined if that has no `search` line with a domain. */
export function fileSource(text: string): (SearchSource & PodSource) | undefined {
  const { search, ndots } = podDefaults(text);
  // CoreDNS knows no ndots: without an `options ndots` every name counts.
  const list = searchList(search, ndots ?? Number.POSITIVE_INFINITY);
  if (list === undefined) return undefined;
  const [first] = list.elements as readonly [Uint8Array];
  return {
    mayExpand: (name, length) => endsWith(name, first, length),
    listOf: () => list,
    clientOf: () => '',
    at: () => undefined,
    named: () => [],
    everyone: searchPath(list),
  };
}

/** Path of the collection. */
const PODS = '/api/v1/pods';
/** The watch is asked to prove that it is up to date this often, milliseconds, and counts as stale after that long. */
const CONTACT_MS = 25_000;
const STALE_MS = 30_000;

/** The pods of this node. Until `start`, and while the watch is stale, it has no list for any client. */
export class NodeSource implements SearchSource, PodSource {
  readonly #table: PodTable;
  readonly #reader: PodReader;
  readonly #clock: Clock;
  #watch: Watch | undefined;
  #isSynced = false;
  #lists: readonly SearchList[] | undefined;
  /** The first elements of all lists, each once, by their bytes without the first label. */
  #tails: readonly Uint8Array[] = [];

  constructor(node: NodeDns, clock: Clock) {
    this.#clock = clock;
    this.#table = new PodTable(clock);
    this.#reader = new PodReader(node);
  }

  /** Watches the pods of `nodeName` until `client` is closed. */
  start(client: ApiClient, nodeName: string): void {
    this.#watch = client.watch({
      path: PODS,
      fieldSelector: `spec.nodeName=${nodeName}`,
      contactEveryMs: CONTACT_MS,
      strip: (object) => this.#reader.read(object),
      onPut: (key, pod) => this.#table.put(key, pod),
      onDelete: (key) => this.#table.delete(key),
      onSync: () => {
        this.#isSynced = true;
      },
    });
  }

  readonly mayExpand = (name: Uint8Array, length: number): boolean => {
    const { lists } = this.#table;
    // Before the first list any name may be: the client that asks for it must be known to walk itself.
    if (!this.#isSynced) return true;
    if (lists !== this.#lists) this.#learn(lists);
    for (const tail of this.#tails) if (endsWith(name, tail, length)) return true;
    return false;
  };

  readonly listOf = (query: Query): SearchList | NoList => {
    if (this.#isStale(query.arrivedMs)) return 'stale_watch';
    const pod = this.#table.find(query.client.address, query.arrivedMs);
    return typeof pod === 'string' ? pod : (pod.list ?? 'no_list');
  };

  readonly clientOf = (query: Query): string => query.client.address;

  readonly at: PodSource['at'] = (address) => this.#table.at(address);

  readonly named: PodSource['named'] = (name) => this.#table.named(name);

  /** Whether the pods are known, and as new as answers may rely on. */
  get isCurrent(): boolean {
    return !this.#isStale(this.#clock.nowMs());
  }

  #isStale(nowMs: number): boolean {
    const { lastContactMs } = this.#watch?.state ?? {};
    return !this.#isSynced || lastContactMs === undefined || nowMs - lastContactMs > STALE_MS;
  }

  /** Most pods differ in the namespace only, so that there are few tails for many lists. */
  #learn(lists: readonly SearchList[]): void {
    this.#lists = lists;
    const tails = new Map<string, Uint8Array>();
    for (const { elements } of lists) {
      const first = elements[0] as Uint8Array;
      const tail = first.subarray(1 + (first[0] as number));
      tails.set(tail.join(), tail);
    }
    this.#tails = [...tails.values()];
  }
}
