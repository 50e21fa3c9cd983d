/**
 * Finds out whether queries on a connection are slow or were never read: some servers read one query of each segment.
 * One of them is asked a second time on the same connection, alone. Where that is answered and none of the others is,
 * they were not read. A connection that is half open answers nothing, and one that is slow answers both.
 */

import { PendingQuery, type PendingQueryOwner } from '../pending-query.ts';
import { type Expiring, NOT_WAITING } from '../timer-wheel.ts';
import type { ConnectionContext, TcpConnection } from './connection.ts';

/** For an answer to the first that comes at the same time, milliseconds. */
const SETTLE_MS = 40;
/** Between one look and the next, milliseconds. */
const PAUSE_MS = 1_000;

export interface Look {
  readonly silent: TcpConnection;
  /** In pending on it. */
  readonly pending: PendingQuery;
  /** Called where what is in flight on `silent` was not read. */
  readonly onUnread: () => void;
}

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
    // On another connection its answer would say nothing.
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
    // Besides the answer to the copy.
    const isStillSilent = silent.isOpen && silent.load > 0 && silent.answers === this.#answers + 1;
    this.end();
    if (this.#isAnswered && isStillSilent) onUnread();
  }

  /** Looks no longer. */
  end(): void {
    if (this.#look !== undefined) this.#look.silent.isWatched = false;
    this.#look = undefined;
    this.#context.timers.clear(this);
    const copy = this.#copy;
    this.#copy = undefined;
    copy?.abandon();
  }

  /** Returns the moment. */
  #waitFor(ms: number): number {
    const { clock, timers } = this.#context;
    const nowMs = clock.nowMs();
    timers.set(this, nowMs + ms);
    return nowMs;
  }
}
