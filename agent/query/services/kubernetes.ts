/** The Kubernetes API as plugins see it: read only, by list and watch. `agent/kubernetes` implements it. */
import type { ApiAccess } from '../../config/corefile/api-access.ts';

/** An object as the API server sends it: JSON that no code has checked. Read it with care: every field may be missing. */
export type ApiObject = Readonly<Record<string, unknown>>;

/** What a watch knows about itself. */
export interface WatchState {
  /** Whether every object has been seen once. It never becomes false again. */
  readonly isSynced: boolean;
  /**
   * Clock moment (`Clock.nowMs`) at which the API server last proved that the watch is up to date: a complete list, a
   * watch that began, an event or a bookmark. Undefined before the first. While all is well it is never older than
   * `contactEveryMs` of the watch.
   */
  readonly lastContactMs: number | undefined;
  /** Why the last request failed; undefined while the watch runs. */
  readonly failure: string | undefined;
}

/**
 * One collection, and what happens to its objects. The callbacks run between queries, never within `watch` itself, and
 * must neither throw nor take long. `Item` is what is kept of an object.
 */
export interface WatchOptions<Item> {
  /** Path of the collection: `/api/v1/pods`, `/apis/discovery.k8s.io/v1/endpointslices`, with `/namespaces/NS` if wanted. */
  readonly path: string;
  /** `spec.nodeName=worker-1`. */
  readonly fieldSelector?: string | undefined;
  /** `app=web,tier!=back`. */
  readonly labelSelector?: string | undefined;
  /**
   * Called on arrival with a parsed object: copies what is needed, so that the rest is garbage at once. Undefined for an
   * object that is of no interest: it counts as absent (`onDelete` if it was there). It may throw for an object that it
   * cannot read: the object counts as absent, too.
   */
  readonly strip: (object: ApiObject) => Item | undefined;
  /**
   * A new or changed object; `key` is `namespace/name` (`name` without a namespace). The same object may come again
   * unchanged: after a relist, and in repeated events.
   */
  readonly onPut: (key: string, item: Item) => void;
  /** The object is gone: the API server said so, or a new list lacks it. Called only for keys that were put. */
  readonly onDelete: (key: string) => void;
  /** A list is complete: every object has been put, and every missing one deleted. Again after each relist. */
  readonly onSync?: (() => void) | undefined;
  /** After every change of `isSynced` or `failure`; not for each contact. */
  readonly onState?: ((state: WatchState) => void) | undefined;
  /**
   * The API server is heard at least this often, or its connection counts as dead and is replaced, milliseconds; 60,000
   * by default. Less costs more: the API server gets a request in about three quarters of it.
   */
  readonly contactEveryMs?: number | undefined;
}

/** A running watch. It lists, watches, resumes and relists by itself, with back-off, until it is closed. */
export interface Watch {
  readonly state: WatchState;
  /** No callback runs afterwards. Idempotent. */
  close(): void;
}

/** Access to one API server. Opens no connection before the first watch. */
export interface ApiClient {
  /** The API server's URL without path, for logs. */
  readonly server: string;
  watch<Item>(options: WatchOptions<Item>): Watch;
  /** Closes every watch and connection. Idempotent. */
  close(): void;
}

/** The Kubernetes API of the process. */
export interface KubernetesApi {
  /** The name of this node, from the environment variable NODE_NAME; undefined where it is unset or empty. */
  readonly nodeName: string | undefined;
  /**
   * Loads the client and reads kubeconfig, certificates and token; connects to no server. For `Plugin.prepare`. Rejects
   * with ConfigError, with the fix, if one of them is missing or wrong.
   */
  connect(access: ApiAccess): Promise<ApiClient>;
}
