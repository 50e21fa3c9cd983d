/** `nodens top`: a picture every few seconds, of a sample of the queries. Its tables live as long as the command. */
import { clientName } from '../base/clients/client-key.ts';
import type { PodSources } from '../base/clients/pod-sources.ts';
import type { Clock, Timer } from '../base/clock.ts';
import { typeName } from '../dns/iana.ts';
import type { Output } from './connection.ts';
import { HeavyTable } from './heavy-table.ts';
import type { LoggedEvent, Percentiles, TopLine, TopRequest } from './protocol.ts';
import type { QueryLook, QueryWatch, SeenQuery } from './query-watch.ts';
import type { Status } from './status.ts';

/** What the command needs of the process. */
export interface TopParts {
  readonly clock: Clock;
  readonly queries: QueryWatch;
  readonly status: Status;
  readonly pods: Pick<PodSources, 'at'>;
  /** The last lines of the log, oldest first. */
  readonly recentLines: () => readonly string[];
}

const MIN_INTERVAL_MS = 200;
const MAX_INTERVAL_MS = 60_000;
/** Queries looked at in a second, about: looking at each would cost a tenth of a core at 50,000 a second. */
const SAMPLES_PER_SECOND = 1_000;
const MAX_SAMPLING = 10_000;
/** Clients and names in one picture. */
const SHOWN = 50;
/** Lines of the log in one picture. */
const EVENTS = 5;
/** Durations kept for the percentiles of one picture. */
const MAX_DURATIONS = 2_000;

/** Sends a picture every `intervalMs`, until the command ends. */
export async function topCommand(
  { clock, queries, status, pods, recentLines }: TopParts,
  { intervalMs }: TopRequest,
  out: Output,
): Promise<void> {
  const bounded = Math.min(MAX_INTERVAL_MS, Math.max(MIN_INTERVAL_MS, Number(intervalMs) || 0));
  const sample = new Sample();
  const stop = queries.add(sample);
  let isGone = false;
  // A race with the departure in each turn would leave something behind in its promise each time.
  let wake = (): void => undefined;
  void out.departed.then(() => {
    isGone = true;
    wake();
  });
  let sinceMs = clock.nowMs();
  while (!isGone) {
    let timer: Timer | undefined;
    await new Promise<void>((resolve) => {
      wake = resolve;
      timer = clock.after(bounded, resolve);
    });
    timer?.cancel();
    const elapsedMs = clock.nowMs() - sinceMs;
    sinceMs = clock.nowMs();
    // A picture that is not read is dropped: the next one is newer.
    if (isGone) break;
    const { clients, ...taken } = sample.take(elapsedMs);
    const named = clients.map((client) => ({ ...client, pod: pods.at(client.key)?.name }));
    const events = recentLines().slice(-EVENTS).flatMap(loggedEvent);
    out.offer({
      ...{ line: 'top', status: status.line(), elapsedMs, ...taken },
      ...{ clients: named, events },
    });
  }
  stop();
}

/** Empty for what is no JSON object: a line that was cut. */
function loggedEvent(line: string): readonly LoggedEvent[] {
  try {
    const { time, level, event, msg } = JSON.parse(line) as Readonly<Record<string, unknown>>;
    const name = event === undefined ? undefined : String(event);
    return [{ time: String(time), level: String(level), event: name, message: String(msg) }];
  } catch {
    return [];
  }
}

type Taken = Omit<TopLine, 'line' | 'status' | 'elapsedMs' | 'events'>;

/** Every so many-th query, so that the cost has a bound. */
class Sample implements QueryLook {
  #every = 1;
  #countdown = 1;
  #queries = 0;
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
