/**
 * Detects an upstream that starts to deny names it used to answer: a few names may really be removed, many at once
 * rarely are. Until enough names have turned, each denial is believed and the answer it replaced is kept; then those
 * answers are restored.
 */
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../query/services/log.ts';
import type { Entry } from '../store/entry.ts';

/** If so many names with good answers turn negative within this time, denials are no longer believed. */
const WINDOW_MS = 60_000;
const DISTINCT_NAMES = 5;
/** Limits: names, and answers kept for a name (types, DO, CD). */
const MAX_NAMES = 256;
const MAX_HELD = 8;

/** Label `reason` of nodens_cache_last_known_good_total: NXDOMAIN, NODATA with its SOA, or an answer without either. */
export type DenialReason = 'nxdomain' | 'nodata' | 'empty';

interface Turned {
  readonly atMs: number;
  readonly held: readonly Entry[];
}

/** Detector of one block; outlives reloads. */
export class DenialBurstDetector {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #zones: string;
  /** By name, the oldest denial first. */
  readonly #turned = new Map<string, Turned>();
  #isDoubtful = false;

  /** `zones` is for the log. */
  constructor(clock: Clock, log: Logger, zones: string) {
    this.#clock = clock;
    this.#log = log;
    this.#zones = zones;
  }

  /**
   * Records that `name`, with the good answer `entry`, is denied. Undefined: believe it. Otherwise the good answers
   * that earlier denials have replaced, which the caller restores.
   */
  turned(name: string, entry: Entry): readonly Entry[] | undefined {
    const before = this.#turned.get(name)?.held ?? [];
    this.#turned.delete(name);
    this.#turned.set(name, {
      atMs: this.#clock.nowMs(),
      held: this.#isDoubtful ? [] : [...before, entry].slice(-MAX_HELD),
    });
    this.#look();
    if (!this.#isDoubtful) return undefined;
    const held = [...this.#turned.values()].flatMap((turned) => turned.held);
    for (const [each, { atMs }] of this.#turned) this.#turned.set(each, { atMs, held: [] });
    return held.filter((other) => other !== entry);
  }

  /** Records that `name` has a good answer again. */
  answered(name: string): void {
    if (this.#turned.delete(name)) this.#look();
  }

  #look(): void {
    const sinceMs = this.#clock.nowMs() - WINDOW_MS;
    for (const [name, { atMs }] of this.#turned) {
      if (atMs > sinceMs && this.#turned.size <= MAX_NAMES) break;
      this.#turned.delete(name);
    }
    const isDoubtful = this.#turned.size >= DISTINCT_NAMES;
    if (isDoubtful === this.#isDoubtful) return;
    this.#isDoubtful = isDoubtful;
    const names = this.#turned.size;
    const fields = { event: 'last-known-good', zones: this.#zones, names } as const;
    if (isDoubtful) {
      this.#log.warn(fields, 'upstream denies many names at once: serving their last good answers');
    } else {
      this.#log.info(fields, 'upstream denials count again');
    }
  }
}
