/** A sample of the queries, for `top` and the status page. Its tables live as long as one of them looks. */
import { clientName } from '../../base/clients/client-key.ts';
import { typeName } from '../../dns/iana.ts';
import type { Percentiles, TopLine } from '../protocol.ts';
import { HeavyTable } from './heavy-table.ts';
import type { QueryLook, SeenQuery } from './query-watch.ts';

/** Queries looked at in a second, about: looking at each would cost a tenth of a core at 50,000 a second. */
const SAMPLES_PER_SECOND = 1_000;
/** Every so many, the sample becomes thinner if they came too fast: the first picture does not know the rate. */
const STEP_SAMPLES = 250;
const STEP_MS = (STEP_SAMPLES / SAMPLES_PER_SECOND) * 1_000;
const MAX_SAMPLING = 10_000;
/** Clients and names in one picture. */
const SHOWN = 50;
/** Durations kept for the percentiles of one picture. */
const MAX_DURATIONS = 2_000;

/** What a sample has seen. */
export type Taken = Omit<TopLine, 'line' | 'status' | 'elapsedMs' | 'events'>;

/** Every so many-th query, so that the cost has a bound. */
export class QuerySample implements QueryLook {
  #every = 1;
  #countdown = 1;
  #queries = 0;
  #samples = 0;
  #stepSinceMs = 0;
  readonly #clients = new HeavyTable();
  readonly #names = new HeavyTable();
  #hitMs: number[] = [];
  #missMs: number[] = [];

  takes(): boolean {
    this.#queries++;
    if (--this.#countdown > 0) return false;
    this.#countdown = this.#every;
    return true;
  }

  see(seen: SeenQuery): void {
    const { query, source, durationMs } = seen;
    this.#clients.add(clientName(query.clientKey), seen, this.#every);
    this.#names.add(`${query.nameText} ${typeName(query.type)}`, seen, this.#every);
    const durations = source === 'hit' ? this.#hitMs : this.#missMs;
    if (durations.length < MAX_DURATIONS && source !== 'stale') durations.push(durationMs);
    if (++this.#samples % STEP_SAMPLES === 0) this.#step(query.arrivedMs);
  }

  /** A burst that a second has room for says nothing of the rate. */
  #step(nowMs: number): void {
    const isFast = nowMs - this.#stepSinceMs < STEP_MS;
    this.#stepSinceMs = nowMs;
    if (isFast && this.#samples > SAMPLES_PER_SECOND)
      this.#every = Math.min(MAX_SAMPLING, this.#every * 2);
  }

  /** What was seen in the last `elapsedMs`; begins anew, with a sample of about the same cost. */
  take(elapsedMs: number): Taken {
    const sampledOf = this.#every;
    const taken = {
      sampledOf,
      clients: this.#clients.take(SHOWN),
      names: this.#names.take(SHOWN),
      hitMs: percentiles(this.#hitMs),
      missMs: percentiles(this.#missMs),
    };
    const perSecond = (this.#queries / Math.max(1, elapsedMs)) * 1_000;
    this.#every = Math.min(MAX_SAMPLING, Math.max(1, Math.ceil(perSecond / SAMPLES_PER_SECOND)));
    this.#countdown = this.#every;
    this.#queries = 0;
    this.#samples = 0;
    this.#hitMs = [];
    this.#missMs = [];
    return taken;
  }
}

function percentiles(durations: number[]): Percentiles {
  const sorted = durations.sort((a, b) => a - b);
  const at = (share: number): number | undefined =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  return { p50: at(0.5), p99: at(0.99) };
}
