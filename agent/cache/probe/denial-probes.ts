/**
 * Asks for the shortest name above a question's that is not known to exist: if it does not exist, neither does the
 * question's, nor any other below it (RFC 8020). Meanwhile the question is held, for a moment. Not every server keeps to
 * RFC 8020, so a denial counts only after names below it were denied as well.
 */
import { LRUCache } from 'lru-cache';
import type { MemoryLedger } from '../../base/clients/memory-ledger.ts';
import type { Clock } from '../../base/clock.ts';
import { GAVE_WAY, GaveWayError } from '../../base/errors.ts';
import { RenewedMap } from '../../base/renewed-map.ts';
import { ancountOf } from '../../dns/header.ts';
import { RCODE, TYPE } from '../../dns/iana.ts';
import type { Answer } from '../../query/answer.ts';
import { gaveWay } from '../../query/error-answer.ts';
import type { Handler, Result } from '../../query/handler.ts';
import { Query } from '../../query/query.ts';
import type { CacheOptions } from '../../query/services/cache.ts';
import type { Counters } from '../counters.ts';
import { cutKey, denialBelow, KEY_HEAD } from '../nxdomain-cut.ts';
import { WAITER_BYTES } from '../single-flight.ts';
import { Entry } from '../store/entry.ts';
import type { Store } from '../store/store.ts';
import { type Ancestors, RANDOM_LABEL_BYTES } from './ancestors.ts';
import { HELD, HeldQuestion } from './held-question.ts';
import { ProbeRates } from './probe-rates.ts';
import type { ProbeResult } from './result.ts';

/** Asks for one of the agent's own questions as for a client's; `isRenewal`: although there is an answer in the cache. */
export type AskOwn = (query: Query, next: Handler, count: Counters, isRenewal: boolean) => Result;

/** `ancestors` is shared with what stores answers, the rest with the lookup. */
export interface ProbeParts {
  readonly ancestors: Ancestors;
  readonly blockId: number;
  readonly configVersion: number;
  readonly options: CacheOptions;
  readonly store: Store;
  readonly clock: Clock;
  readonly ledger: MemoryLedger;
  /** Uniform random number in [0, 1). */
  readonly random: () => number;
  readonly ask: AskOwn;
}

/** How long a question is held in all. kube-dns denies a name within a millisecond. */
const HOLD_MS = 50;
/** An upstream that is down or slow must not delay each question: no probe after one that failed, */
const FAILED_PAUSE_MS = 5_000;
/** and no question is held after a probe that was late. */
const LATE_PAUSE_MS = 1_000;
/** A denial that is used within this time before its end is asked for again. */
const RENEW_MS = 1_000;
/** How long a name that a probe's denial covers is left alone after it was asked for itself. */
const CHECKED_MS = 600_000;
const MAX_CHECKED = 2_048;
const LETTERS = 26;
const LETTER_A = 0x61;

type Ask = (own: Query, isRenewal?: boolean) => Promise<Answer>;

interface Probe {
  readonly startedMs: number;
  readonly held: Set<HeldQuestion>;
  isLate: boolean;
}

/** One for each block and configuration with probed zones. */
export class DenialProbes {
  readonly #parts: ProbeParts;
  readonly #running = new RenewedMap<string, Probe>();
  readonly #rates: ProbeRates;
  /** Keys of questions that were asked although a denial covers them, with the clock time until which that counts. */
  readonly #checked = new LRUCache<string, number>({ max: MAX_CHECKED });
  #noProbeUntilMs = 0;
  #noHoldUntilMs = 0;

  constructor(parts: ProbeParts) {
    this.#parts = parts;
    this.#rates = new ProbeRates(parts.clock);
  }

  /**
   * The denial of a name above that of `query`, as an answer to it, which is stored: asking for it again is a plain hit.
   * Undefined if there is none, or if it is this question's turn to be asked all the same: a server may have a single
   * name below one that it denies.
   */
  find(query: Query, key: string, next: Handler, count: Counters): Answer | undefined {
    const { ancestors } = this.#parts;
    const proof = ancestors.proofFor(query);
    if (query.dnssecOk || proof === undefined) return undefined;
    if (ancestors.stateOf(proofId(proof)) !== 'exists') return undefined;
    for (const name of ancestors.above(query, key)) {
      const state = ancestors.stateOf(name);
      if (state === 'skipped') return undefined;
      const cut = state === 'empty' ? this.#cut(name, key) : undefined;
      if (cut === undefined) continue;
      if (this.#takeCheck(key)) return undefined;
      this.#renew(name, cut, query, next, count);
      return this.#answerBelow(cut, query, key);
    }
    return undefined;
  }

  /** Asks again for a name whose denial is in use and about to expire, so that no question has to wait for that. */
  #renew(name: string, cut: Entry, query: Query, next: Handler, count: Counters): void {
    const nowMs = this.#parts.clock.nowMs();
    if (cut.expiresMs - nowMs > RENEW_MS || nowMs < this.#noProbeUntilMs) return;
    if (!this.#running.has(name)) this.#start(name, query, next, count);
  }

  /**
   * Holds `query` until a probe has ended, at most until `HOLD_MS` after `sinceMs`. Undefined: it must be asked at
   * once. Otherwise the promise resolves when the answer may be in the cache, and rejects with GaveWayError. It resolves
   * to whether something was learned: if not, the question must not be held again.
   */
  hold(
    query: Query,
    key: string,
    next: Handler,
    count: Counters,
    sinceMs: number,
  ): Promise<boolean> | undefined {
    const { clock, ledger } = this.#parts;
    const nowMs = clock.nowMs();
    const leftMs = sinceMs + HOLD_MS - nowMs;
    if (query.dnssecOk || leftMs <= 0 || nowMs < this.#noProbeUntilMs) return undefined;
    const id = this.#unknownAbove(query, key);
    if (id === undefined) return undefined;
    const probe = this.#running.get(id) ?? this.#start(id, query, next, count);
    if (probe === undefined || nowMs < this.#noHoldUntilMs) return undefined;
    const share = ledger.share(query.clientKey);
    if (!share.admits(HELD, WAITER_BYTES)) return undefined;
    const held = new HeldQuestion(share, count.rejected, clock, leftMs, (ended) => {
      probe.held.delete(ended);
      if (clock.nowMs() - probe.startedMs < HOLD_MS) return;
      probe.isLate = true;
      this.#noHoldUntilMs = clock.nowMs() + LATE_PAUSE_MS;
    });
    probe.held.add(held);
    share.add(held);
    return held.released;
  }

  /**
   * The shortest name above that of `query` whose existence is open, or before that the id of its zone's proof;
   * undefined if there is nothing to learn.
   */
  #unknownAbove(query: Query, key: string): string | undefined {
    const { ancestors } = this.#parts;
    const names = ancestors.above(query, key);
    const proof = names.length > 0 ? ancestors.proofFor(query) : undefined;
    if (proof === undefined) return undefined;
    const proven = ancestors.stateOf(proofId(proof));
    if (proven !== 'exists') return proven === undefined ? proofId(proof) : undefined;
    for (const name of names) {
      const state = ancestors.stateOf(name);
      if (state === 'exists') continue;
      const isKnown = state === 'skipped' || (state === 'empty' && this.#cut(name, key));
      return isKnown ? undefined : name;
    }
    return undefined;
  }

  #start(id: string, query: Query, next: Handler, count: Counters): Probe | undefined {
    const { clock } = this.#parts;
    if (!this.#rates.takeProbe(query.clientKey)) {
      count.probes.deferred.value++;
      return undefined;
    }
    const startedMs = clock.nowMs();
    const probe: Probe = { startedMs, held: new Set(), isLate: false };
    this.#running.set(id, probe);
    // An internal query: the client's query object may be reused while the probe runs.
    const real = Query.internal(query, startedMs, query.clientKey);
    const end = (result: ProbeResult): void => {
      this.#running.delete(id);
      count.probes[probe.isLate ? 'late' : result].value++;
      const isLearned = result !== 'failed' && result !== 'deferred';
      for (const held of [...probe.held]) held.release(isLearned);
    };
    const ask: Ask = async (own, isRenewal = false) => {
      const answer = await this.#parts.ask(own, next, count, isRenewal);
      if (gaveWay(answer)) throw GAVE_WAY;
      return answer;
    };
    const work = isProof(id) ? this.#prove(id, real, ask) : this.#probe(id, real, ask);
    // A client that has no room to wait is no failure of the upstream.
    work.then(end, (error: unknown) =>
      end(error instanceof GaveWayError ? 'deferred' : this.#failed()),
    );
    return probe;
  }

  /** Learns whether the server keeps to RFC 8020 where there are names without records. Rejects as `#probe`. */
  async #prove(id: string, real: Query, ask: Ask): Promise<ProbeResult> {
    const isDenied = denies(await ask(this.#question(id.slice(1), TYPE.A, real)));
    if (isDenied === undefined) return this.#failed();
    this.#parts.ancestors.learn(id, isDenied ? 'skipped' : 'exists');
    return isDenied ? 'answers_below' : 'exists';
  }

  /** Rejects if a question got no answer. */
  async #probe(name: string, real: Query, ask: Ask): Promise<ProbeResult> {
    const { ancestors, blockId, random } = this.#parts;
    const key = real.keyIn(blockId);
    const isRenewal = this.#cut(name, key) !== undefined && ancestors.stateOf(name) === 'empty';
    const isDenied = denies(await ask(this.#question(name, TYPE.A, real), isRenewal));
    if (isDenied === undefined) return this.#failed();
    if (!isDenied) {
      ancestors.learn(name, 'exists');
      return 'exists';
    }
    if (ancestors.stateOf(name) !== 'empty') {
      this.#checked.set(key, this.#parts.clock.nowMs() + CHECKED_MS);
      const anyName = this.#question(`${randomLabel(random)}${name}`, real.type, real);
      const denied = (await Promise.all([ask(anyName), ask(real)])).map(denies);
      // Without a pause: a client may ask for what its server refuses.
      if (denied.includes(undefined)) return 'failed';
      ancestors.learn(name, denied.includes(false) ? 'skipped' : 'empty');
    }
    if (this.#cut(name, key) === undefined) ancestors.learn(name, 'skipped');
    return ancestors.stateOf(name) === 'empty' ? 'denied' : 'answers_below';
  }

  #question(name: string, type: number, real: Query): Query {
    const { server, transport, depth, checkingDisabled } = real;
    const question = { server, transport, depth, checkingDisabled, dnssecOk: false, type };
    const nowMs = this.#parts.clock.nowMs();
    return Query.internal(
      { ...question, name: Buffer.from(name, 'latin1') },
      nowMs,
      real.clientKey,
    );
  }

  #answerBelow(cut: Entry, query: Query, key: string): Answer | undefined {
    const { store, options } = this.#parts;
    const answer = denialBelow(cut.answer, query);
    if (answer === undefined) return undefined;
    // The cut must not be the entry that makes room for all that it denies.
    cut.wasHit = true;
    store.denials.get(cut.key);
    const { kind, blockEntries, configVersion, expiresMs, dropAfterMs, refreshMs } = cut;
    const times = { expiresMs, dropAfterMs, refreshMs, hits: 0, lastHitMs: 0 };
    // `query.name` is in lower case, and so is the message.
    const kept = answer.with({ wire: answer.packed, isLowerCase: true });
    const entry = new Entry({ key, kind, answer: kept, blockEntries, configVersion, ...times });
    store.replace(store.peek(key), entry, options.denial.capacity);
    return kept;
  }

  /** The fresh denial of `name`, for questions with the variant of `key`. */
  #cut(name: string, key: string): Entry | undefined {
    const { store, clock, configVersion } = this.#parts;
    const entry = store.denials.peek(`${cutKey(key).slice(0, KEY_HEAD)}${name}`);
    return entry?.isFresh(clock.nowMs(), configVersion) === true ? entry : undefined;
  }

  #takeCheck(key: string): boolean {
    const nowMs = this.#parts.clock.nowMs();
    if (nowMs < (this.#checked.get(key) ?? 0) || !this.#rates.takeCheck()) return false;
    this.#checked.set(key, nowMs + CHECKED_MS);
    return true;
  }

  #failed(): ProbeResult {
    this.#noProbeUntilMs = this.#parts.clock.nowMs() + FAILED_PAUSE_MS;
    return 'failed';
  }
}

/** Of no name: that `proof` exists is also known if a name below it was answered, and then it may still be denied. */
function proofId(proof: string): string {
  return `\0${proof}`;
}

function isProof(id: string): boolean {
  return id.startsWith('\0');
}

/** Whether `answer` says that its name does not exist; undefined if it says neither. An alias exists. */
function denies(answer: Answer): boolean | undefined {
  if (answer.rcode === RCODE.NOERROR) return false;
  if (answer.rcode === RCODE.NXDOMAIN) return ancountOf(answer.wire) === 0;
  return undefined;
}

function randomLabel(random: () => number): string {
  const letters = Array.from({ length: RANDOM_LABEL_BYTES }, () =>
    String.fromCharCode(LETTER_A + Math.floor(random() * LETTERS)),
  );
  return `${String.fromCharCode(RANDOM_LABEL_BYTES)}${letters.join('')}`;
}
