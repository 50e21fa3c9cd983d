/**
 * Finds out whether queries on a silent connection are slow or were never read: some servers read one query of each
 * segment. One of them is asked a second time, alone on a connection of its own. Where that is answered and the silent
 * connection still says nothing, they were not read.
 */
import { type Expiring, NOT_WAITING } from '../deadlines.ts';
import { Flight, type FlightOwner } from '../flight.ts';
import type { ConnectionContext, ConnectionEvents, TcpConnection } from './connection.ts';

/** For an answer on the silent connection that comes at the same time, milliseconds. */
const SETTLE_MS = 40;
/** Between one look and the next, milliseconds. */
const PAUSE_MS = 1_000;

export interface Look {
  readonly silent: TcpConnection;
  /** In flight on it. */
  readonly flight: Flight;
  /** Makes a connection to the same upstream; nothing else goes over it. */
  readonly dial: (events: ConnectionEvents) => TcpConnection;
  /** Called where what is in flight on `silent` was not read. */
  readonly onUnread: () => void;
}

export class Scout implements FlightOwner, Expiring {
  dueTick = NOT_WAITING;
  readonly #context: ConnectionContext;
  #look: Look | undefined;
  #alone: TcpConnection | undefined;
  #heardMs = 0;
  #isAnswered = false;
  #nextMs = Number.NEGATIVE_INFINITY;

  constructor(context: ConnectionContext) {
    this.#context = context;
  }

  isReady(nowMs: number): boolean {
    return this.#look === undefined && nowMs >= this.#nextMs;
  }

  start(look: Look): void {
    this.#look = look;
    this.#heardMs = look.silent.lastHeardMs;
    look.silent.isWatched = true;
    this.#isAnswered = false;
    this.#nextMs = this.#waitFor(this.#context.roundTrip.patienceMs) + PAUSE_MS;
    this.#alone = look.dial(SCOUTED);
    this.#alone.send(new Flight(look.flight.question, 'tcp', look.flight.edns, this, 'probe'));
  }

  onReply(): void {
    this.#isAnswered = true;
    this.#waitFor(SETTLE_MS);
  }

  onFailure(): void {
    this.end();
  }

  onDeadline(): void {
    const look = this.#look;
    if (look === undefined) return;
    const { silent } = look;
    const isStillSilent = silent.load > 0 && silent.lastHeardMs === this.#heardMs;
    this.end();
    if (this.#isAnswered && isStillSilent) look.onUnread();
  }

  /** Looks no longer. */
  end(): void {
    if (this.#look !== undefined) this.#look.silent.isWatched = false;
    this.#look = undefined;
    this.#context.deadlines.clear(this);
    const alone = this.#alone;
    this.#alone = undefined;
    if (alone?.isOpen === true) alone.end();
    else alone?.destroy('ECANCELED');
  }

  /** Returns the moment. */
  #waitFor(ms: number): number {
    const { clock, deadlines } = this.#context;
    const nowMs = clock.nowMs();
    deadlines.set(this, nowMs + ms);
    return nowMs;
  }
}

/** What is on such a connection has an owner that hears of everything. */
const SCOUTED: ConnectionEvents = {
  onOpen: () => undefined,
  onGone: (_connection, orphans, _wasOpen, failure) => {
    for (const flight of orphans) flight.owner.onFailure(flight, failure);
  },
  onAnswered: () => undefined,
  onLate: () => undefined,
};
