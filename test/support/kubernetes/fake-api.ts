/** A Kubernetes API whose objects and failures a test sets by hand, without a server. */
import type { ApiAccess } from '../../../agent/config/corefile/api-access.ts';
import type {
  ApiClient,
  ApiObject,
  KubernetesApi,
  Watch,
  WatchOptions,
  WatchState,
} from '../../../agent/query/services/kubernetes.ts';

/** One watch that a plugin began; the test plays the API server. */
export class FakeWatch<Item = unknown> implements Watch {
  readonly options: WatchOptions<Item>;
  state: WatchState = { isSynced: false, lastContactMs: undefined, failure: undefined };
  isClosed = false;
  readonly #nowMs: () => number;
  readonly #keys = new Set<string>();

  constructor(options: WatchOptions<Item>, nowMs: () => number) {
    this.options = options;
    this.#nowMs = nowMs;
  }

  /** A whole list: puts every object, deletes those that it lacks, and syncs. */
  list(objects: readonly ApiObject[]): void {
    const keys = new Set(objects.map(keyOf));
    for (const object of objects) this.put(object);
    for (const key of [...this.#keys]) if (!keys.has(key)) this.#drop(key);
    this.contact();
    this.#set({ isSynced: true, failure: undefined });
    this.options.onSync?.();
    this.options.onState?.(this.state);
  }

  /** An ADDED or MODIFIED event. */
  put(object: ApiObject): void {
    this.contact();
    const key = keyOf(object);
    const item = this.options.strip(object);
    if (item === undefined) {
      this.#drop(key);
      return;
    }
    this.#keys.add(key);
    this.options.onPut(key, item);
  }

  /** A DELETED event. */
  delete(object: ApiObject): void {
    this.contact();
    this.#drop(keyOf(object));
  }

  /** A bookmark. */
  contact(): void {
    this.#set({ lastContactMs: this.#nowMs() });
  }

  /** The API server is gone; the next contact or list ends that. */
  fail(failure: string): void {
    this.#set({ failure });
    this.options.onState?.(this.state);
  }

  close(): void {
    this.isClosed = true;
  }

  #drop(key: string): void {
    if (this.#keys.delete(key)) this.options.onDelete(key);
  }

  #set(changes: Partial<WatchState>): void {
    this.state = { ...this.state, ...changes };
  }
}

function keyOf(object: ApiObject): string {
  const { namespace, name } = object.metadata as { namespace?: string; name: string };
  return namespace === undefined ? name : `${namespace}/${name}`;
}

/** Records every connection and every watch, in order. */
export class FakeKubernetesApi implements KubernetesApi {
  nodeName: string | undefined = 'worker-1';
  readonly accesses: ApiAccess[] = [];
  readonly watches: FakeWatch[] = [];
  /** If set, `connect` rejects with it. */
  error: Error | undefined;
  readonly #nowMs: () => number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** The only watch of the collection at `path`. */
  watchOf(path: string): FakeWatch {
    const found = this.watches.filter(
      ({ options, isClosed }) => options.path === path && !isClosed,
    );
    if (found.length !== 1) throw new Error(`${found.length} watches of ${path}`);
    return found[0] as FakeWatch;
  }

  connect(access: ApiAccess): Promise<ApiClient> {
    this.accesses.push(access);
    if (this.error !== undefined) return Promise.reject(this.error);
    const own: FakeWatch[] = [];
    return Promise.resolve({
      server: 'https://192.0.2.1:6443',
      watch: <Item>(options: WatchOptions<Item>): Watch => {
        const watch = new FakeWatch(options, this.#nowMs);
        own.push(watch as unknown as FakeWatch);
        this.watches.push(watch as unknown as FakeWatch);
        return watch;
      },
      close: () => {
        for (const watch of own) watch.close();
      },
    });
  }
}
