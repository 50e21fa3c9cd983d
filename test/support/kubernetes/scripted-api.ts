/**
 * An API server on loopback that speaks the protocol of list and watch, and fails in the ways that real ones fail: a
 * test keeps its objects and says what goes wrong.
 */
import { createServer as createHttp, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import {
  type Fault,
  isSelected,
  keyOf,
  type ScriptedApiOptions,
  type ScriptedEvent,
  type ScriptedObject,
  versioned,
} from './scripted-objects.ts';

interface OpenWatch {
  readonly path: string;
  readonly response: ServerResponse;
  readonly fieldSelector: string | undefined;
  timer: NodeJS.Timeout;
}

export interface SeenRequest {
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly token: string | undefined;
  readonly status: number;
}

export class ScriptedApi {
  readonly requests: SeenRequest[] = [];
  /** The faults of the next requests, in order. */
  readonly faults: Fault[] = [];
  /** Bearer token that requests need; undefined: none. */
  token: string | undefined;
  /** While true, watches get neither events nor an end: a half-dead connection. */
  isFrozen = false;
  readonly #options: ScriptedApiOptions;
  readonly #server;
  readonly #sockets = new Set<Socket>();
  readonly #objects = new Map<string, Map<string, { object: ScriptedObject; version: number }>>();
  readonly #watches = new Set<OpenWatch>();
  #log: ScriptedEvent[] = [];
  #version = 100;
  /** Versions before this one are gone. */
  #oldest = 0;

  constructor(options: ScriptedApiOptions = {}) {
    this.#options = options;
    this.token = options.token;
    const { tls } = options;
    const onRequest = (request: IncomingMessage, response: ServerResponse): void =>
      this.#answer(request, response);
    this.#server =
      tls === undefined
        ? createHttp(onRequest)
        : createHttps(
            {
              ...{ cert: tls.cert, key: tls.key },
              ...(tls.clientCa !== undefined && {
                ca: tls.clientCa,
                requestCert: true,
                rejectUnauthorized: true,
              }),
            },
            onRequest,
          );
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  /** Listens on 127.0.0.1; resolves with its URL. */
  async listen(port = 0): Promise<string> {
    await new Promise<void>((resolve) => {
      this.#server.listen(port, '127.0.0.1', resolve);
    });
    const scheme = this.#options.tls === undefined ? 'http' : 'https';
    return `${scheme}://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    for (const watch of this.#watches) clearTimeout(watch.timer);
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  /** Open watches. */
  get watching(): number {
    return this.#watches.size;
  }

  /** Open connections. */
  get connections(): number {
    return this.#sockets.size;
  }

  put(path: string, object: ScriptedObject): void {
    const version = ++this.#version;
    const all = this.#collection(path);
    const type = all.has(keyOf(object)) ? 'MODIFIED' : 'ADDED';
    all.set(keyOf(object), { object, version });
    this.#emit({ path, version, type, object: versioned(object, version) });
  }

  delete(path: string, object: ScriptedObject): void {
    const version = ++this.#version;
    if (!this.#collection(path).delete(keyOf(object))) throw new Error(`no ${keyOf(object)}`);
    this.#emit({ path, version, type: 'DELETED', object: versioned(object, version) });
  }

  /** Changes a collection without an event, as if the events were lost with the versions. */
  replaceSilently(path: string, objects: readonly ScriptedObject[]): void {
    this.#version++;
    const all = this.#collection(path);
    all.clear();
    for (const object of objects) all.set(keyOf(object), { object, version: this.#version });
  }

  /** Sends the last event of `path` once more. */
  repeatLast(path: string): void {
    const last = this.#log.findLast((event) => event.path === path);
    if (last !== undefined) this.#send(last);
  }

  bookmark(path: string): void {
    const version = ++this.#version;
    const object = { kind: 'Bookmark', metadata: { resourceVersion: String(version) } };
    this.#send({ path, version, type: 'BOOKMARK', object });
  }

  /** Forgets all versions up to now. With `tells`, open watches get an ERROR event. */
  compact(tells = false): void {
    this.#oldest = ++this.#version;
    this.#log = [];
    if (!tells) return;
    const object = {
      kind: 'Status',
      code: 410,
      reason: 'Expired',
      message: 'too old resource version',
    };
    for (const watch of this.#watches)
      watch.response.write(`${JSON.stringify({ type: 'ERROR', object })}\n`);
  }

  /** Ends every watch, as a restart does: with an end of its response, or by a reset. */
  endWatches(how: 'end' | 'reset' = 'end'): void {
    for (const watch of this.#watches) {
      if (how === 'end') watch.response.end();
      else watch.response.destroy();
    }
  }

  /** Sends text that is no event on every watch. */
  sendRaw(text: string): void {
    for (const watch of this.#watches) watch.response.write(text);
  }

  #collection(path: string): Map<string, { object: ScriptedObject; version: number }> {
    const found = this.#objects.get(path) ?? new Map();
    this.#objects.set(path, found);
    return found;
  }

  #emit(event: ScriptedEvent): void {
    this.#log.push(event);
    const kept = this.#options.keptEvents ?? Number.POSITIVE_INFINITY;
    if (this.#log.length > 2 * kept) {
      this.#log = this.#log.slice(-kept);
      this.#oldest = (this.#log[0] as ScriptedEvent).version - 1;
    }
    this.#send(event);
  }

  #send({ path, type, object }: ScriptedEvent): void {
    if (this.isFrozen) return;
    for (const watch of this.#watches)
      if (watch.path === path && isSelected(object, watch.fieldSelector))
        this.#write(watch.response, `${JSON.stringify({ type, object })}\n`);
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', 'http://api');
    const query = Object.fromEntries(url.searchParams);
    const token = /^Bearer (.*)$/.exec(request.headers.authorization ?? '')?.[1];
    const saw = (status: number): void =>
      void this.requests.push({ path: url.pathname, query, token, status });
    const refuse = (status: number, message: string, retryAfterSeconds?: number): void => {
      saw(status);
      const headers: Record<string, string> = {};
      if (retryAfterSeconds !== undefined) headers['retry-after'] = String(retryAfterSeconds);
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      response.end(JSON.stringify({ kind: 'Status', code: status, message }));
    };
    const fault = this.faults.shift();
    if (fault === 'silent') saw(0);
    else if (fault === 'reset') {
      saw(0);
      request.socket.destroy();
    } else if (fault === 'half a list') {
      saw(200);
      response.writeHead(200);
      response.write('{"kind":"PodList","metadata":{"resourceVersion":"1"},"items":[{"metadata":');
      setImmediate(() => response.destroy());
    } else if (fault !== undefined)
      refuse(fault.status, fault.message ?? 'scripted', fault.retryAfterSeconds);
    else if (this.token !== undefined && token !== this.token) refuse(401, 'Unauthorized');
    else if (query.watch === '1') this.#watch(url.pathname, query, response, saw, refuse);
    else this.#list(url.pathname, query, response, saw, refuse);
  }

  #list(
    path: string,
    query: Readonly<Record<string, string>>,
    response: ServerResponse,
    saw: (status: number) => void,
    refuse: (status: number, message: string) => void,
  ): void {
    const [fromText = '0', versionText = String(this.#version)] = (query.continue ?? '')
      .split('@')
      .filter(Boolean);
    if (Number(versionText) < this.#oldest) {
      refuse(410, 'The provided continue parameter is too old');
      return;
    }
    saw(200);
    const selected = [...this.#collection(path).values()]
      .map(({ object, version }) => versioned(object, version))
      .filter((object) => isSelected(object, query.fieldSelector));
    const from = Number(fromText);
    const size = Math.min(Number(query.limit ?? 1e9), this.#options.pageObjects ?? 1e9);
    const items = selected.slice(from, from + size);
    const more = from + size < selected.length ? `${from + size}@${versionText}` : undefined;
    const metadata = {
      resourceVersion: versionText,
      ...(more !== undefined && { continue: more }),
    };
    response.writeHead(200, { 'content-type': 'application/json' });
    this.#write(
      response,
      `${JSON.stringify({ kind: 'List', apiVersion: 'v1', metadata, items })}\n`,
    );
    response.end();
  }

  #watch(
    path: string,
    query: Readonly<Record<string, string>>,
    response: ServerResponse,
    saw: (status: number) => void,
    refuse: (status: number, message: string) => void,
  ): void {
    const from = Number(query.resourceVersion);
    if (from < this.#oldest) {
      refuse(410, 'too old resource version');
      return;
    }
    saw(200);
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    const timer = setTimeout(() => {
      if (!this.isFrozen) response.end();
    }, 1_000 * Number(query.timeoutSeconds));
    const watch: OpenWatch = { path, response, fieldSelector: query.fieldSelector, timer };
    this.#watches.add(watch);
    response.on('close', () => {
      clearTimeout(timer);
      this.#watches.delete(watch);
    });
    for (const event of this.#log)
      if (
        event.path === path &&
        event.version > from &&
        isSelected(event.object, watch.fieldSelector)
      )
        this.#write(response, `${JSON.stringify({ type: event.type, object: event.object })}\n`);
  }

  #write(response: ServerResponse, text: string): void {
    const { pieceBytes } = this.#options;
    if (pieceBytes === undefined) {
      response.write(text);
      return;
    }
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; at += pieceBytes)
      response.write(bytes.subarray(at, at + pieceBytes));
  }
}
