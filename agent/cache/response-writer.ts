/**
 * Decides what happens to the result of the rest of the chain: store it, store it as a failure, pass it on, or serve
 * the last good answer instead. A failure never replaces, hides or shortens a usable positive entry
 * (docs/architecture.md, invariant 1).
 */
import type { Clock } from '../base/clock.ts';
import { DnsError, GaveWayError } from '../base/errors.ts';
import { RCODE } from '../dns/iana.ts';
import { isSubdomain } from '../dns/name.ts';
import type { RecordView } from '../dns/records.ts';
import { hasLowerQuestion } from '../dns/reply.ts';
import { Answer, madeAnswer } from '../query/answer.ts';
import type { Query } from '../query/query.ts';
import type {
  CacheOptions,
  PrefetchOptions,
  ServeStaleOptions,
  TtlBounds,
} from '../query/services/cache.ts';
import type { Counters } from './counters.ts';
import { cutKey, NxdomainCuts } from './nxdomain-cut.ts';
import { type Classified, classify, type Verdict } from './policy/classify.ts';
import type { DenialBurstDetector, DenialReason } from './policy/denial-bursts.ts';
import { LastKnownGood } from './policy/last-known-good.ts';
import { AFTER_RELOAD, isUsable, lastGoodAnswer } from './policy/stale.ts';
import { lifetimeOf, type TtlRule } from './policy/ttl.ts';
import type { Ancestors } from './probe/ancestors.ts';
import type { Sourced } from './single-flight.ts';
import type { BlockEntries } from './store/block-entries.ts';
import { Entry, type EntryKind } from './store/entry.ts';
import { failureKey, type Store } from './store/store.ts';

/** A block's entries; outlives reloads. */
export interface EntriesByKind {
  readonly positive: BlockEntries<Entry>;
  readonly negative: BlockEntries<Entry>;
}

/** `entriesByKind` and `denialBursts` outlive a reload; `options` are those of one configuration. */
export interface ResponseWriterParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: () => number;
  readonly entriesByKind: EntriesByKind;
  readonly denialBursts: DenialBurstDetector;
  /** Number of the configuration below `cache`. */
  readonly configVersion: number;
  readonly options: CacheOptions;
  /** What is known about names in the zones of `nxdomain_probe`. */
  readonly ancestors: Ancestors | undefined;
}

/** Plugin name under which cached answers, hits and misses alike, are counted, as in CoreDNS. */
export const PLUGIN = 'cache';
/** Maximum delay of a refresh, as a share of the remaining TTL, so that nodes do not refresh at the same time. */
const REFRESH_JITTER = 0.5;

const RULES: Readonly<Partial<Record<Verdict, TtlRule>>> = {
  success: 'records',
  delegation: 'base',
  denial: 'negative',
};

/** The answer in its stored form. */
function packed(answer: Answer, wire: Buffer, bornMs: number | undefined): Answer {
  const { ttlOffsets, rcode, ttlOverrideSeconds, extended } = answer;
  return new Answer({
    wire: wire.latin1Slice(0, wire.length),
    isLowerCase: hasLowerQuestion(wire),
    ttlOffsets,
    rcode,
    plugin: PLUGIN,
    bornMs,
    ttlOverrideSeconds,
    extended,
  });
}

function fromChain(answer: Answer): Sourced<Answer> {
  return { answer, source: 'chain' };
}

function lastGood(answer: Answer): Sourced<Answer> {
  return { answer, source: 'last-good' };
}

function deniedAs({ rcode }: Answer): DenialReason {
  return rcode === RCODE.NXDOMAIN ? 'nxdomain' : 'nodata';
}

/** One for each block and configuration. Every waiter of a query in flight gets its result. */
export class ResponseWriter {
  readonly #parts: ResponseWriterParts;
  readonly #stale: ServeStaleOptions;
  readonly #cuts: NxdomainCuts;
  readonly #lastKnownGood: LastKnownGood;

  constructor(parts: ResponseWriterParts) {
    this.#parts = parts;
    const stale = parts.options.serveStale ?? AFTER_RELOAD;
    this.#stale = stale;
    this.#lastKnownGood = new LastKnownGood({ ...parts, stale });
    const { nxdomainCut, nxdomainProbe } = parts.options;
    this.#cuts = new NxdomainCuts([...nxdomainCut, ...nxdomainProbe]);
  }

  /** Accepts an answer to the question behind `key`; returns what the waiters get. */
  accept(query: Query, key: string, answer: Answer, count: Counters): Sourced<Answer> {
    if (!answer.shareable) return fromChain(answer);
    const wallSeconds = Math.floor(this.#parts.clock.wallMs() / 1_000);
    const classified = classify(query, answer, wallSeconds);
    switch (classified.verdict) {
      case 'success':
      case 'delegation':
        this.#lastKnownGood.answered(query);
        return fromChain(this.#keep(query, key, answer, classified));
      case 'denial': {
        const good = this.#lastKnownGood.against(query, key, deniedAs(answer), count);
        if (good !== undefined) return lastGood(good);
        return fromChain(this.#keep(query, key, answer, classified));
      }
      case 'uncacheable': {
        const isAnswer = classified.records[0]?.section === 'answer';
        const good = isAnswer ? undefined : this.#lastKnownGood.against(query, key, 'empty', count);
        if (good !== undefined) return lastGood(good);
        this.#dropExpired(key);
        return fromChain(answer);
      }
      case 'mismatch':
        count.drops.value++;
        return this.#lastGood(key) ?? fromChain(answer);
      case 'refusal':
        return this.#lastGood(key) ?? fromChain(answer);
      case 'failure':
        return this.#lastGood(key) ?? fromChain(this.#remember(key, answer));
    }
  }

  /** Handles a missing answer; returns the last good one, or throws `error`. */
  failed(query: Query, key: string, error: unknown): Sourced<Answer> {
    // The query was never sent: a limit of this client is no failure of the name.
    if (error instanceof GaveWayError) throw error;
    // A dropped query gets no answer, and an old answer must not hide a bug.
    if (!(error instanceof DnsError)) throw error;
    const good = this.#lastGood(key);
    if (good !== undefined) return good;
    if (error.rcode === RCODE.SERVFAIL && !error.isLocal) {
      const { rcode, extended } = error;
      const options = extended === undefined ? {} : { extended };
      this.#remember(key, madeAnswer(query, { rcode, flags: 0 }, PLUGIN, options));
    }
    throw error;
  }

  #keep(query: Query, key: string, answer: Answer, classified: Classified): Answer {
    const { store, clock, options, entriesByKind } = this.#parts;
    const kind: EntryKind = classified.verdict === 'denial' ? 'negative' : 'positive';
    const keep = kind === 'positive' ? options.success : this.#denialOf(query);
    const born = answer.bornMs ?? clock.nowMs();
    const { kept, ttlSeconds } = this.#bounded(answer, born, classified, keep);
    const disabled = kind === 'positive' ? options.disableSuccess : options.disableDenial;
    if (ttlSeconds <= 0 || disabled.some((zone) => isSubdomain(query.name, zone))) {
      // Valid although it cannot be stored, so the stored answer is outdated.
      store.forget(key);
      return kept;
    }
    const before = store.peek(key);
    const expiresMs = born + ttlSeconds * 1_000;
    const windowMs = Math.max(this.#stale.windowMs, this.#lastKnownGood.windowMs(query));
    const entry = new Entry({
      key,
      kind,
      answer: kept,
      blockEntries: entriesByKind[kind],
      configVersion: this.#parts.configVersion,
      expiresMs,
      dropAfterMs: expiresMs + (kind === 'positive' ? windowMs : 0),
      refreshMs: this.#refreshMs(expiresMs, ttlSeconds, options.prefetch),
      hits: before?.hits ?? 0,
      lastHitMs: before?.lastHitMs ?? 0,
    });
    store.replace(before, entry, keep.capacity);
    const isAliased = classified.records[0]?.section === 'answer';
    this.#cut(query, entry, isAliased, keep.capacity);
    return kept;
  }

  #denialOf({ name }: Query): TtlBounds {
    const { denial, cluster } = this.#parts.options;
    return cluster.domains.some((domain) => isSubdomain(name, domain)) ? cluster.denial : denial;
  }

  /**
   * A name that does not exist denies all names below it; one that exists removes every denial above it. An alias
   * exists, whatever its target.
   */
  #cut(query: Query, entry: Entry, isAliased: boolean, capacity: number): void {
    const { ancestors } = this.#parts;
    const { denials } = this.#parts.store;
    if (entry.answer.rcode !== RCODE.NXDOMAIN || isAliased) {
      this.#cuts.disproved(query, entry.key, denials);
      ancestors?.answered(query, entry.key);
    } else if (this.#cuts.covers(query)) {
      ancestors?.denied(query, entry.key);
      const { kind, answer, blockEntries, configVersion, expiresMs, dropAfterMs, refreshMs } =
        entry;
      const { hits, lastHitMs } = entry;
      const times = { expiresMs, dropAfterMs, refreshMs };
      const key = cutKey(entry.key);
      denials.put(
        new Entry({ key, kind, answer, blockEntries, configVersion, ...times, hits, lastHitMs }),
        capacity,
      );
    }
  }

  /** The answer as it is stored, with its lifetime. */
  #bounded(
    answer: Answer,
    born: number,
    { verdict, records }: { verdict: Verdict; records: readonly RecordView[] },
    keep: TtlBounds,
  ): { kept: Answer; ttlSeconds: number } {
    const rule = RULES[verdict] ?? 'base';
    const { wire, ttlSeconds } = lifetimeOf(answer.wire, records, rule, keep);
    const bornMs = this.#parts.options.keepTtl ? undefined : born;
    return { kept: packed(answer, wire, bornMs), ttlSeconds };
  }

  #refreshMs(expiresMs: number, ttlSeconds: number, prefetch: PrefetchOptions | undefined): number {
    if (prefetch === undefined) return expiresMs;
    const leftMs = Math.ceil((prefetch.percentage / 100) * ttlSeconds) * 1_000;
    return expiresMs - leftMs * (1 - REFRESH_JITTER * this.#parts.random());
  }

  /**
   * The usable positive answer, if there is one; the upstream is not asked again before the recheck interval has
   * passed.
   */
  #lastGood(key: string): Sourced<Answer> | undefined {
    const { store, clock } = this.#parts;
    const entry = store.peek(key);
    if (entry === undefined) return undefined;
    const now = clock.nowMs();
    entry.recheckMs = Math.ceil(now + this.#stale.recheckMs);
    if (!isUsable(entry, now, this.#stale)) return undefined;
    return lastGood(lastGoodAnswer(entry, now, this.#stale));
  }

  /** Stores a failure, so that the upstream is not asked again at once (RFC 9520 §3.2). */
  #remember(key: string, answer: Answer): Answer {
    const { clock, options, entriesByKind, configVersion, store } = this.#parts;
    if (options.servfailMs <= 0) return answer;
    const expiresMs = clock.nowMs() + options.servfailMs;
    const { wire } = lifetimeOf(answer.wire, [], 'base', options.denial);
    const entry = new Entry({
      key: failureKey(key),
      kind: 'failure',
      answer: packed(answer, wire, undefined),
      blockEntries: entriesByKind.negative,
      configVersion,
      expiresMs,
      dropAfterMs: expiresMs,
      refreshMs: expiresMs,
      hits: 0,
      lastHitMs: 0,
    });
    store.denials.put(entry, options.denial.capacity);
    return answer;
  }

  /** A valid answer that cannot be stored removes the entry that it contradicts, if that has expired. */
  #dropExpired(key: string): void {
    const { store, clock, configVersion } = this.#parts;
    const entry = store.peek(key);
    if (entry !== undefined && !entry.isFresh(clock.nowMs(), configVersion)) store.forget(key);
  }
}
