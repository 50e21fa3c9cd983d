/**
 * Finds out whether queries on a connection are slow or were never read: some servers read only one query of each
 * segment. It repeats one of them alone on the same connection. If only the repeat is answered, the server did not read
 * the others. A half-open connection answers nothing, and a slow server answers both.
 */

import { PendingQuery, type PendingQueryOwner } from '../pending-query.ts';
import { type Expiring, NOT_WAITING } from '../timer-wheel.ts';
import type { ConnectionContext, TcpConnection } from './connection.ts';

/** Wait for an answer to the original that arrives at the same time, milliseconds. */
const SETTLE_MS = 40;
/** Interval of examinations, milliseconds. */
const PAUSE_MS = 1_000;

/** One examination of one connection. */
export interface Look {
  readonly silent: TcpConnection;
  /** Its queries in flight. */
  readonly pending: PendingQuery;
  /** Called if the server did not read the queries in flight on `silent`. */
  readonly onUnread: () => void;
}

/** One for each pool, with at most one examination at a time and one a second. */
export class Scout implements PendingQueryOwner, Expiring {
  dueTick = NOT_WAITING;
  dueBefore: Expiring | undefined;
  dueAfter: Expiring | undefined;
  readonly #context: ConnectionContext;
  #look: Look | undefined;
  #copy: PendingQuery | undefined;
  #answers = 0;
  #isAnswered = false;
  #nextMs = Number.NEGATIVE_INFINITY;

  constructor(context: ConnectionContext) {
    this.#context = context;
  }

  /** Whether `start` may be called now. */
  isReady(nowMs: number): boolean {
    return this.#look === undefined && nowMs >= this.#nextMs;
  }

  start(look: Look): void {
    const { silent, pending } = look;
    this.#look = look;
    this.#answers = silent.answers;
    this.#isAnswered = false;
    this.#nextMs = this.#waitFor(this.#context.roundTrip.hedgeMs) + PAUSE_MS;
    silent.isWatched = true;
    this.#copy = new PendingQuery(pending.question, 'tcp', pending.edns, this, 'probe');
    // An answer over another connection would prove nothing.
    this.#copy.isMoved = true;
    silent.send(this.#copy);
  }

  onReply(): void {
    this.#copy = undefined;
    this.#isAnswered = this.#look?.silent.isOpen === true;
    this.#waitFor(SETTLE_MS);
  }

  onFailure(): void {
    this.end();
  }

  onDeadline(): void {
    const look = this.#look;
    if (look === undefined) return;
    const { silent, onUnread } = look;
    // Without counting the answer to the copy.
    const isStillSilent = silent.isOpen && silent.load > 0 && silent.answers === this.#answers + 1;
    this.end();
    if (this.#isAnswered && isStillSilent) onUnread();
  }

  /** Ends the examination. */
  end(): void {
    if (this.#look !== undefined) this.#look.silent.isWatched = false;
    this.#look = undefined;
    this.#context.timers.clear(this);
    const copy = this.#copy;
    this.#copy = undefined;
    copy?.abandon();
  }

  /** Returns the current time. */
  #waitFor(ms: number): number {
    const { clock, timers } = this.#context;
    const nowMs = clock.nowMs();
    timers.set(this, nowMs + ms);
    return nowMs;
  }
}
