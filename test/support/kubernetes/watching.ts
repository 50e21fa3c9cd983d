/** A watch of pods against a scripted API server: real connections, and a clock that only the test moves. */
import type { ApiAccess } from '../../../agent/config/corefile/api-access.ts';
import { connectTo } from '../../../agent/kubernetes/client.ts';
import type { ApiClient, Watch, WatchOptions } from '../../../agent/query/services/kubernetes.ts';
import { type FakeServices, fakeServices } from '../services.ts';
import { ScriptedApi } from './scripted-api.ts';
import type { ScriptedApiOptions, ScriptedObject } from './scripted-objects.ts';

export const PODS = '/api/v1/pods';

/** A pod as short as the tests need it. */
export function podNamed(name: string, nodeName = 'worker-1', namespace = 'shop'): ScriptedObject {
  return { metadata: { name, namespace, uid: `uid-${name}` }, spec: { nodeName } };
}

export interface Watching {
  readonly api: ScriptedApi;
  readonly url: string;
  readonly client: ApiClient;
  readonly watch: Watch;
  readonly services: FakeServices;
  /** Keys that are there now, sorted, with the node name that `strip` kept. */
  readonly keys: () => string[];
  /** Everything that was called, in order: `put shop/a`, `delete shop/a`, `sync`, `state failing`. */
  readonly calls: string[];
  /** Moves the clock in steps until `condition` holds; throws after many. */
  readonly until: (what: string, condition: () => boolean, stepMs?: number) => Promise<void>;
  readonly close: () => Promise<void>;
}

export interface WatchingOptions extends ScriptedApiOptions {
  readonly watch?: Partial<WatchOptions<string>>;
  /** Called before the watch begins. */
  readonly before?: (api: ScriptedApi) => void;
  readonly access?: (url: string, services: FakeServices) => ApiAccess;
  readonly env?: Readonly<Record<string, string>>;
}

const PLACE = { file: '/etc/Corefile', line: 3 };

/** Real time that the test waits for sockets between two steps of the clock, milliseconds. */
const SOCKET_MS = 5;
const MAX_STEPS = 2_000;

export async function watching(options: WatchingOptions = {}): Promise<Watching> {
  const api = new ScriptedApi(options);
  const url = await api.listen();
  options.before?.(api);
  const services = fakeServices();
  const { clock, log, metrics, work, files } = services;
  const access = options.access?.(url, services) ?? {
    ...{ place: PLACE, endpoint: { text: url, place: PLACE } },
    // The rate limit has a test of its own.
    ...{ requestsPerSecond: 10_000, burst: 10_000 },
  };
  const client = await connectTo(access, {
    ...{ clock, log, metrics, work, files, env: options.env ?? {} },
    ...{ random: () => 0.5, userAgent: 'nodens/test' },
  });
  const kept = new Map<string, string>();
  const calls: string[] = [];
  const watch = client.watch<string>({
    path: PODS,
    strip: (object) => (object.spec as { nodeName: string }).nodeName,
    onPut: (key, node) => {
      kept.set(key, node);
      calls.push(`put ${key}`);
    },
    onDelete: (key) => {
      kept.delete(key);
      calls.push(`delete ${key}`);
    },
    onSync: () => void calls.push('sync'),
    onState: ({ failure }) =>
      void calls.push(failure === undefined ? 'state well' : 'state failing'),
    ...options.watch,
  });
  const until: Watching['until'] = async (what, condition, stepMs = 0) => {
    for (let step = 0; step < MAX_STEPS; step++) {
      if (condition()) return;
      await new Promise((resolve) => {
        setTimeout(resolve, SOCKET_MS);
      });
      await clock.advance(stepMs);
    }
    throw new Error(`never: ${what}; calls: ${calls.join(', ')}; ${JSON.stringify(watch.state)}`);
  };
  const keys = (): string[] => Array.from(kept, ([key, node]) => `${key} ${node}`).sort();
  const close = async (): Promise<void> => {
    client.close();
    await api.close();
  };
  return { api, url, client, watch, services, keys, calls, until, close };
}
