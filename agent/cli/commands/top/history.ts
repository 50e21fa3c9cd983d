/** The last pictures of `nodens top`, and what they say together. */
import type { HeavyLine, StatusLine, TopLine } from '../../../operator/protocol.ts';
import { upstreamRows } from '../../../operator/upstream-rows.ts';

/** Columns by which clients and names can be sorted. */
export const SORTS = ['queries', 'hits', 'nxdomain', 'failures'] as const;
export type Sort = (typeof SORTS)[number];

/** Rates in the last interval, per second. */
export interface Rates {
  readonly queries: number;
  readonly hits: number;
  readonly misses: number;
  readonly stale: number;
  readonly failures: number;
}

/** One upstream in the last interval. `latencyMs`: mean of its replies; undefined without one. */
export interface UpstreamRate {
  readonly to: string;
  readonly state: string;
  readonly connections: number;
  readonly latencyMs: number | undefined;
  readonly queries: number;
  readonly failures: number;
}

/** Pictures whose clients and names are added up, so that the lists do not flicker where few ask. */
const WINDOW = 5;

/** Keeps the pictures that the screen needs. */
export class History {
  #before: StatusLine;
  readonly #pictures: TopLine[] = [];

  /** `start` is the status before the first picture. */
  constructor(start: StatusLine) {
    this.#before = start;
  }

  get latest(): TopLine | undefined {
    return this.#pictures.at(-1);
  }

  add(picture: TopLine): void {
    this.#before = this.latest?.status ?? this.#before;
    this.#pictures.push(picture);
    if (this.#pictures.length > WINDOW) this.#pictures.shift();
  }

  /** Undefined before the first picture. */
  get rates(): Rates | undefined {
    const { latest } = this;
    if (latest === undefined) return undefined;
    const perSecond = (field: keyof Rates): number =>
      Math.max(0, latest.status[field] - this.#before[field]) / this.#seconds;
    return {
      queries: perSecond('queries'),
      hits: perSecond('hits'),
      misses: perSecond('misses'),
      stale: perSecond('stale'),
      failures: perSecond('failures'),
    };
  }

  get upstreams(): readonly UpstreamRate[] {
    const before = new Map(this.#before.upstreams.map((upstream) => [upstream.to, upstream]));
    return upstreamRows(this.latest?.status.upstreams ?? []).map((upstream) => {
      const old = before.get(upstream.to);
      const grown = (field: 'queries' | 'failures' | 'replies' | 'repliesMs'): number =>
        Math.max(0, upstream[field] - (old?.[field] ?? 0));
      const replies = grown('replies');
      return {
        to: upstream.to,
        state: upstream.state,
        connections: upstream.connections,
        latencyMs: replies === 0 ? undefined : grown('repliesMs') / replies,
        queries: grown('queries') / this.#seconds,
        failures: grown('failures') / this.#seconds,
      };
    });
  }

  /** Clients or names of the window, per second, that contain `filter`; sorted by `sort`. */
  heaviest(kind: 'clients' | 'names', sort: Sort, filter: string): readonly HeavyLine[] {
    const sums = new Map<string, { -readonly [K in keyof HeavyLine]: HeavyLine[K] }>();
    const seconds = this.#pictures.reduce((sum, { elapsedMs }) => sum + elapsedMs / 1_000, 0);
    for (const picture of this.#pictures)
      for (const { key, pod, ...counts } of picture[kind]) {
        if (!key.includes(filter) && pod?.includes(filter) !== true) continue;
        const none = { key, queries: 0, hits: 0, nxdomain: 0, failures: 0 };
        const sum = sums.get(key) ?? { ...none, pod };
        for (const field of SORTS) sum[field] += counts[field] / Math.max(seconds, 0.001);
        sums.set(key, sum);
      }
    return [...sums.values()].sort((a, b) => b[sort] - a[sort] || b.queries - a.queries);
  }

  get #seconds(): number {
    return Math.max(0.001, (this.latest?.elapsedMs ?? 0) / 1_000);
  }
}
