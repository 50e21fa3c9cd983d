/** `nodens observe`: a stream of answered queries, as many as its reader takes. */
import { clientKey } from '../../base/clients/client-key.ts';
import type { PodSources } from '../../base/clients/pod-sources.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import { rcodeName, typeName } from '../../dns/iana.ts';
import { byteKey } from '../../dns/name.ts';
import type { Query } from '../../query/query.ts';
import type { AttemptWatch, SeenAttempt } from '../../upstream/exchange/attempt-watch.ts';
import type { Output } from '../connection.ts';
import type { ObservedLine, ObserveRequest } from '../protocol.ts';
import { matchesGlob } from './glob.ts';
import type { QueryLook, QueryWatch, SeenQuery } from './query-watch.ts';

/** What the command needs of the process. */
export interface ObserveParts {
  readonly clock: Clock;
  readonly queries: QueryWatch;
  readonly attempts: AttemptWatch;
  readonly pods: PodSources;
}

/** Lines that one command gets in a second at most; the others are counted. */
const LINES_PER_SECOND = 1_000;
const SKIPPED_INTERVAL_MS = 1_000;
/** Questions whose upstream is remembered until their answer is shown. */
const MAX_UPSTREAMS = 1_024;

/** Sends a line for each query that the request selects, until the command ends. Throws UsageError. */
export async function observeCommand(
  parts: ObserveParts,
  request: ObserveRequest,
  out: Output,
): Promise<void> {
  const observation = new Observation(parts, request, out);
  const stops = [
    parts.queries.add(observation),
    parts.attempts.add((attempt) => observation.attempted(attempt)),
  ];
  await out.departed;
  for (const stop of stops) stop();
  observation.end();
}

class Observation implements QueryLook {
  readonly #clock: Clock;
  readonly #request: ObserveRequest;
  /** Whether a condition is of the answer. */
  readonly #judgesAnswers: boolean;
  readonly #out: Output;
  /** Keys by address in the form of `Client.address`; undefined for every client. */
  readonly #clients: ReadonlyMap<string, string> | undefined;
  readonly #name: string | undefined;
  readonly #upstreams = new Map<string, string>();
  readonly #timer: Timer;
  #linesLeft = LINES_PER_SECOND;
  #skipped = 0;

  constructor({ clock, pods }: ObserveParts, request: ObserveRequest, out: Output) {
    const { client, name, rcode, slowMs, isStale } = request;
    this.#clock = clock;
    this.#request = request;
    this.#judgesAnswers = rcode !== undefined || slowMs !== undefined || isStale === true;
    this.#out = out;
    this.#clients =
      client === undefined
        ? undefined
        : new Map(pods.addressesOf(client).map((one) => [one, clientKey(one)]));
    this.#name = name === undefined ? undefined : patternOf(name);
    this.#timer = clock.every(SKIPPED_INTERVAL_MS, () => this.#nextSecond());
  }

  end(): void {
    this.#timer.cancel();
  }

  /** What the query alone decides comes first: most queries of a busy agent end here. */
  takes(query: Query): boolean {
    if (this.#clients !== undefined && !isOneOf(this.#clients, query)) return false;
    if (this.#name !== undefined && !matchesGlob(this.#name, query.nameText)) return false;
    if (this.#linesLeft > 0 || this.#judgesAnswers) return true;
    this.#skipped++;
    return false;
  }

  see(seen: SeenQuery): void {
    if (this.#judgesAnswers && !this.#isWanted(seen)) return;
    if (this.#linesLeft <= 0 || !this.#out.offer(this.#line(seen))) this.#skipped++;
    else this.#linesLeft--;
  }

  /** Remembers which upstream answered a question. */
  attempted({ question, upstream, rcode }: SeenAttempt): void {
    if (rcode === undefined) return;
    const key = questionKey(question);
    this.#upstreams.delete(key);
    this.#upstreams.set(key, upstream);
    if (this.#upstreams.size <= MAX_UPSTREAMS) return;
    for (const [oldest] of this.#upstreams) {
      this.#upstreams.delete(oldest);
      return;
    }
  }

  /** Cheap conditions first. */
  #isWanted(seen: SeenQuery): boolean {
    const { rcode, slowMs, isStale } = this.#request;
    if (rcode !== undefined && seen.rcode !== rcode) return false;
    if (slowMs !== undefined && seen.durationMs < slowMs) return false;
    return isStale !== true || seen.source === 'stale';
  }

  #line(seen: SeenQuery): ObservedLine {
    const { query, rcode, plugin, durationMs, source } = seen;
    const isFromUpstream = source === 'miss' || source === 'failure';
    return {
      line: 'query',
      time: new Date(this.#clock.wallMs()).toISOString(),
      client: query.client.address,
      transport: query.transport,
      name: query.nameText,
      type: typeName(query.type),
      rcode: rcodeName(rcode),
      from: source,
      plugin,
      upstream: isFromUpstream ? this.#upstreams.get(questionKey(query)) : undefined,
      durationMs: Math.round(durationMs * 1_000) / 1_000,
    };
  }

  #nextSecond(): void {
    this.#linesLeft = LINES_PER_SECOND;
    if (this.#skipped === 0) return;
    if (this.#out.offer({ line: 'skipped', queries: this.#skipped })) this.#skipped = 0;
  }
}

/** The key costs less than the address, and is that of the network for many an IPv6 client. */
function isOneOf(clients: ReadonlyMap<string, string>, query: Query): boolean {
  for (const [address, key] of clients)
    if (query.clientKey === key && query.client.address === address) return true;
  return false;
}

/** Names end in a dot, whatever the operator writes. */
function patternOf(text: string): string {
  const pattern = text.toLowerCase();
  return pattern.endsWith('.') || pattern.endsWith('*') ? pattern : `${pattern}.`;
}

function questionKey({ name, type }: { readonly name: Uint8Array; readonly type: number }): string {
  return `${type} ${byteKey(name)}`;
}
