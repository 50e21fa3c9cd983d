/**
 * One collection, kept up to date by list and watch, as client-go's reflector does: list, watch from the list's
 * resource version, resume where a watch ended, list again where the API server no longer knows that version (410).
 */
import { type Clock, sleep } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { PacedWork } from '../base/paced-work.ts';
import type { ApiObject, Watch, WatchOptions, WatchState } from '../query/services/kubernetes.ts';
import { Backoff, type RateLimit } from './backoff.ts';
import { ApiError } from './errors.ts';
import { LineReader, ListReader, type TextReader } from './json-stream.ts';
import { keyOf, type ListEnvelope, parsedObject, versionOf, type WatchEvent } from './objects.ts';
import type { Reports } from './reports.ts';
import type { ApiBody, ApiTransport } from './transport.ts';

/** Objects in one page of a list; the same as client-go's pager. */
const PAGE_OBJECTS = 500;
/** Time without a byte after which a list fails, milliseconds, and time for a whole page. */
const LIST_IDLE_MS = 15_000;
const PAGE_MS = 300_000;
/** A watch that lived for less long counts as failed, so that an API server that ends every watch is not flooded. */
const SHORT_MS = 1_000;
const DEFAULT_CONTACT_MS = 60_000;
/** Parts of `contactEveryMs`: a watch is asked to end after a random time between the first two, and is dead after the third. */
const WATCH_PART_MIN = 0.65;
const WATCH_PART_MAX = 0.8;
const DEAD_PART = 0.95;
/** Objects of one collection; Kubernetes is specified for 150,000 pods. */
const MAX_OBJECTS = 500_000;

/** What a watch uses of its client. */
export interface WatchParts {
  readonly transport: Pick<ApiTransport, 'get'>;
  readonly limit: RateLimit;
  readonly clock: Clock;
  readonly work: PacedWork;
  readonly random: () => number;
  readonly reports: Reports;
}

/** Runs from its construction until `close`. */
export class CollectionWatch<Item> implements Watch {
  readonly #options: WatchOptions<Item>;
  readonly #parts: WatchParts;
  readonly #contactMs: number;
  readonly #backoff: Backoff;
  /** Keys that were put, with the list that saw them last. */
  readonly #keys = new Map<string, number>();
  #listNumber = 0;
  /** Where to resume; '' before the first list, and after a 410. */
  #version = '';
  /** Version to ask lists for: `0` is any that the API server has at hand, '' the latest. */
  #listVersion = '0';
  #body: ApiBody | undefined;
  #isClosed = false;
  #isSynced = false;
  #lastContactMs: number | undefined;
  #failure: string | undefined;

  constructor(options: WatchOptions<Item>, parts: WatchParts) {
    this.#options = options;
    this.#parts = parts;
    this.#contactMs = options.contactEveryMs ?? DEFAULT_CONTACT_MS;
    this.#backoff = new Backoff(parts.random);
    void this.#run();
  }

  get state(): WatchState {
    return {
      isSynced: this.#isSynced,
      lastContactMs: this.#lastContactMs,
      failure: this.#failure,
    };
  }

  close(): void {
    this.#isClosed = true;
    this.#body?.destroy(new ApiError('closed'));
  }

  async #run(): Promise<void> {
    const { clock } = this.#parts;
    // Not within the call that creates the watch.
    await Promise.resolve();
    while (!this.#isClosed) {
      try {
        if (this.#version === '') await this.#list();
        const beganMs = clock.nowMs();
        await this.#watch();
        if (clock.nowMs() - beganMs < SHORT_MS) throw new ApiError('the watch ended at once');
        this.#backoff.reset();
      } catch (error) {
        if (this.#isClosed) return;
        this.#failed(error);
        const asked = error instanceof ApiError ? error.retryAfterMs : 0;
        await sleep(clock, Math.max(this.#backoff.next(), asked));
      }
    }
  }

  #failed(error: unknown): void {
    if (error instanceof ApiError && error.isGone) {
      this.#version = '';
      this.#listVersion = '';
      this.#parts.reports.relisted();
    }
    const wasFailing = this.#failure !== undefined;
    this.#failure = messageOf(error);
    // A version that is gone is part of the protocol: the list that follows tells whether anything is wrong.
    if (!(error instanceof ApiError) || !error.isGone) this.#parts.reports.failed(error);
    if (!wasFailing) this.#options.onState?.(this.state);
  }

  #contact(): void {
    this.#lastContactMs = this.#parts.clock.nowMs();
  }

  #succeeded(): void {
    this.#contact();
    if (this.#failure === undefined) return;
    this.#failure = undefined;
    this.#parts.reports.recovered();
    this.#options.onState?.(this.state);
  }

  async #list(): Promise<void> {
    this.#listNumber++;
    let next = '';
    let version = '';
    do {
      const page = await this.#page(next);
      version = page.version;
      next = page.next;
    } while (next !== '' && !this.#isClosed);
    if (this.#isClosed) return;
    for (const [key, seen] of this.#keys) if (seen !== this.#listNumber) this.#drop(key);
    this.#version = version;
    this.#listVersion = version;
    this.#succeeded();
    const isFirst = !this.#isSynced;
    this.#isSynced = true;
    this.#options.onSync?.();
    if (isFirst) this.#options.onState?.(this.state);
  }

  /** One page of a list; `next` continues the list, '' begins it. */
  async #page(next: string): Promise<{ readonly version: string; readonly next: string }> {
    const place = next === '' ? { resourceVersion: this.#listVersion } : { continue: next };
    const reader = new ListReader((text) => {
      if (!this.#isClosed) this.#put(parsedObject(text));
    });
    await this.#read('list', { ...place, limit: String(PAGE_OBJECTS) }, LIST_IDLE_MS, reader);
    const { metadata } = reader.end() as ListEnvelope;
    const version = versionOf(metadata);
    if (version === undefined) throw new ApiError('a list came without a resource version');
    const { continue: more } = metadata as { readonly continue?: unknown };
    return { version, next: typeof more === 'string' ? more : '' };
  }

  async #watch(): Promise<void> {
    const part = WATCH_PART_MIN + this.#parts.random() * (WATCH_PART_MAX - WATCH_PART_MIN);
    const query = {
      watch: '1',
      allowWatchBookmarks: 'true',
      resourceVersion: this.#version,
      timeoutSeconds: String(Math.max(1, Math.floor((part * this.#contactMs) / 1_000))),
    };
    const reader = new LineReader((text) => {
      if (!this.#isClosed) this.#event(parsedObject(text) as WatchEvent);
    });
    await this.#read('watch', query, DEAD_PART * this.#contactMs, reader);
  }

  /** Sends a request and gives its body to `reader`, in slices. Rejects with ApiError; also after `idleMs` of silence. */
  async #read(
    verb: 'list' | 'watch',
    query: Readonly<Record<string, string>>,
    idleMs: number,
    reader: TextReader,
  ): Promise<void> {
    const { transport, limit, clock, work, reports } = this.#parts;
    await limit.take();
    const body = await reports.counting(verb, transport.get(this.#pathWith(query)));
    this.#body = body;
    if (this.#isClosed) body.destroy(new ApiError('closed'));
    else if (verb === 'watch') this.#succeeded();
    const silence = `no byte within ${Math.round(idleMs / 1_000)} s`;
    const fall = (reason: string) => (): void => body.destroy(new ApiError(reason));
    let idle = clock.after(idleMs, fall(silence));
    const whole =
      verb === 'list' ? clock.after(PAGE_MS, fall('the list takes too long')) : undefined;
    try {
      for await (const chunk of body) {
        idle.cancel();
        await work.finish('kubernetes', reader.read(chunk));
        idle = clock.after(idleMs, fall(silence));
      }
    } catch (error) {
      // The rest of the body is of no use, and its connection must not stay busy.
      body.destroy(new ApiError('given up'));
      throw error;
    } finally {
      idle.cancel();
      whole?.cancel();
      this.#body = undefined;
    }
  }

  #pathWith(query: Readonly<Record<string, string>>): string {
    const { path, fieldSelector, labelSelector } = this.#options;
    const params = new URLSearchParams(query);
    if (fieldSelector !== undefined) params.set('fieldSelector', fieldSelector);
    if (labelSelector !== undefined) params.set('labelSelector', labelSelector);
    return `${path}?${params}`;
  }

  #event({ type, object }: WatchEvent): void {
    if (type === 'ERROR') {
      const { code, message } = (object ?? {}) as { code?: unknown; message?: unknown };
      const text = typeof message === 'string' ? message.slice(0, 300) : 'without a reason';
      throw new ApiError(`the watch failed: ${text}`, typeof code === 'number' ? code : 0);
    }
    this.#contact();
    this.#parts.reports.event();
    if (object === undefined) return;
    if (type === 'DELETED') {
      const key = keyOf(object);
      if (key !== undefined) this.#drop(key);
    } else if (type === 'ADDED' || type === 'MODIFIED') {
      this.#put(object);
    }
    this.#version = versionOf(object.metadata) ?? this.#version;
    this.#listVersion = this.#version;
  }

  #put(object: ApiObject): void {
    const key = keyOf(object);
    if (key === undefined) {
      this.#parts.reports.malformed();
      return;
    }
    const item = this.#strip(object);
    if (item === undefined) {
      this.#drop(key);
      return;
    }
    if (this.#keys.size >= MAX_OBJECTS && !this.#keys.has(key))
      throw new ApiError(`more than ${MAX_OBJECTS} objects`);
    this.#keys.set(key, this.#listNumber);
    this.#options.onPut(key, item);
  }

  #strip(object: ApiObject): Item | undefined {
    try {
      return this.#options.strip(object);
    } catch {
      this.#parts.reports.malformed();
      return undefined;
    }
  }

  #drop(key: string): void {
    if (this.#keys.delete(key)) this.#options.onDelete(key);
  }
}
