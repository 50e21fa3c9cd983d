/** One persistent connection: queries pipelined, replies matched by ID in any order (RFC 7766 §6.2.1.1, §7). */
import { RenewedMap } from '../../../base/renewed-map.ts';
import { FrameReader } from '../../../dns/frame.ts';
import type { RoundTrip } from '../../health/round-trip.ts';
import type { Failure } from '../failure.ts';
import { freeId } from '../ids.ts';
import { type Mismatch, matchReply } from '../match.ts';
import type { Connection, PendingQuery } from '../pending-query.ts';
import type { Dial, StreamPort } from '../ports.ts';
import { type Expiring, NOT_WAITING, type TimerWheel } from '../timer-wheel.ts';
import type { SocketContext } from '../udp-socket.ts';
import { framed } from './framed.ts';

/** Covers one lost SYN (RFC 6298 §2: 1 s), or a TLS handshake that stalls. */
const OPEN_TIMEOUT_MS = 2_000;
/** A server that sends so many unsolicited messages in a row is faulty. */
const MAX_STRAY_MESSAGES = 1_000;

/** A query without a reply for so long is worth another look, milliseconds. */
const LONG_MS = 1_000;

/** Queries in flight on every connection before another one is opened. */
export const BUSY_QUERIES = 64;

/** Calls to the pool, which replaces, closes and refills connections. */
export interface ConnectionEvents {
  onOpen(): void;
  /** The connection is closed. `unanswered` got no reply; `wasOpen` is false if it never opened. */
  onGone(
    connection: TcpConnection,
    unanswered: readonly PendingQuery[],
    wasOpen: boolean,
    failure: Failure,
  ): void;
  /** A query was answered. */
  onAnswered(connection: TcpConnection): void;
  /** `pending`, which is on it, takes longer than most queries. */
  onLate(connection: TcpConnection, pending: PendingQuery): void;
}

/** As for a UDP socket, with what only a connection needs. */
export interface ConnectionContext extends SocketContext {
  readonly dial: Dial;
  readonly timers: TimerWheel;
  readonly roundTrip: RoundTrip;
}

/** How much a connection should carry before another replaces it. */
export interface Lifetime {
  readonly ageMs: number;
  /** Queries count once it is `youthMs` old. */
  readonly queries: number;
  readonly youthMs: number;
}

/** Dials at construction; queries sent before it is open are written then. It fails if it is not open within 2 s. */
export class TcpConnection implements Connection, Expiring {
  dueTick = NOT_WAITING;
  dueBefore: Expiring | undefined;
  dueAfter: Expiring | undefined;
  phase: Connection['phase'] = 'connect';
  /** Queries sent, and queries answered. */
  carried = 0;
  answers = 0;
  isProven = false;
  isClosedByPeer = false;
  /** Whether the server does not read the queries that it is sent. */
  isUnread = false;
  /** Whether a scout is examining why it is silent: until then it stays. */
  isWatched = false;
  readonly startedMs: number;
  lastHeardMs: number;
  readonly #context: ConnectionContext;
  readonly #events: ConnectionEvents;
  readonly #lifetime: Lifetime;
  readonly #port: StreamPort;
  readonly #frames = new FrameReader();
  readonly #inFlight = new RenewedMap<number, PendingQuery>();
  #unsent: PendingQuery[] = [];
  #state: 'opening' | 'open' | 'draining' | 'gone' = 'opening';
  #phaseStartedMs: number;
  /** Answers to the queries that were last written together. */
  #batchAnswers = 0;
  /** Since when a reply has been due; undefined while none is expected. */
  #waitingSinceMs: number | undefined;
  #strays = 0;

  constructor(context: ConnectionContext, events: ConnectionEvents, lifetime: Lifetime) {
    this.#context = context;
    this.#events = events;
    this.#lifetime = lifetime;
    this.startedMs = context.clock.nowMs();
    this.#phaseStartedMs = this.startedMs;
    this.lastHeardMs = this.startedMs;
    context.metrics.tcp.connections.value++;
    context.timers.set(this, this.startedMs + OPEN_TIMEOUT_MS);
    this.#port = context.dial({
      onHandshake: () => this.#enter('connect', 'handshake'),
      onOpen: () => this.#open(),
      onData: (chunk) => this.#frames.push(chunk, this.#receive),
      onClose: (errno) => {
        this.isClosedByPeer = true;
        this.#gone(errno ?? 'ECONNRESET');
      },
    });
  }

  get load(): number {
    return this.#inFlight.size;
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** Whether queries of this turn of the event loop wait for its next write, and it is not busy. */
  get isFilling(): boolean {
    return this.#state === 'open' && this.#unsent.length > 0 && this.load < BUSY_QUERIES;
  }

  /**
   * Whether its unanswered queries are repeated without being charged (RFC 7766 §6.2.1.1): it has answered at least
   * one, so there can be no more such connections than answers.
   */
  get isFree(): boolean {
    return this.answers > 0 && (this.isClosedByPeer || this.isUnread);
  }

  /** How long no reply has come although one was due, milliseconds. */
  silentMs(nowMs: number): number {
    if (this.#state === 'opening') return nowMs - this.startedMs;
    return this.#waitingSinceMs === undefined ? 0 : nowMs - this.#waitingSinceMs;
  }

  /** How long it has been idle, milliseconds. */
  idleMs(nowMs: number): number {
    return this.#inFlight.size > 0 ? 0 : nowMs - this.lastHeardMs;
  }

  /** Whether another should replace it. */
  isSpent(nowMs: number): boolean {
    const { ageMs, queries, youthMs } = this.#lifetime;
    const age = nowMs - this.startedMs;
    return age >= ageMs || (age >= youthMs && this.carried >= queries);
  }

  /**
   * Whether most of the queries written together with `pending` are unanswered, as if the server had read only the
   * first; of one that waits for long, whether others of them were answered.
   */
  seemsUnread(pending: PendingQuery, nowMs: number): boolean {
    const wasHeard = this.#batchAnswers > 0 && pending.writtenMs <= this.lastHeardMs;
    const isLong = nowMs - pending.writtenMs >= LONG_MS;
    return wasHeard && (isLong || 2 * this.#batchAnswers <= this.load);
  }

  send(pending: PendingQuery): void {
    const { ids, clock, metrics } = this.#context;
    pending.id = freeId(ids, this.#inFlight);
    pending.sentMs = clock.nowMs();
    pending.writtenMs = pending.sentMs;
    pending.connection = this;
    this.#inFlight.set(pending.id, pending);
    this.carried++;
    metrics.tcp.queries.value++;
    this.#unsent.push(pending);
    // One write for all queries of this turn of the event loop.
    if (this.#unsent.length === 1 && this.#state === 'open') setImmediate(this.#flush);
  }

  /** If the connection has been silent for too long when a query on it is abandoned, it is half open and is dropped. */
  abandon(pending: PendingQuery): void {
    this.#inFlight.delete(pending.id);
    const { clock, roundTrip } = this.#context;
    const isDead =
      this.#state === 'opening'
        ? // Each probe dials again: a retransmitted SYN would come later than the next probe.
          pending.purpose === 'probe' && this.#inFlight.size === 0
        : this.silentMs(clock.nowMs()) >= roundTrip.timeoutMs;
    if (isDead && !this.isWatched) this.destroy('ETIMEDOUT');
    else this.#endIfDrained();
  }

  late(pending: PendingQuery): void {
    if (this.#state === 'open') this.#events.onLate(this, pending);
  }

  /** Accepts no more queries; closes when the last one in flight is answered. */
  drain(): void {
    if (this.#state !== 'open') return;
    this.#flush();
    this.#state = 'draining';
    this.#endIfDrained();
  }

  /** Closes an idle connection with a FIN. */
  end(): void {
    this.#leave();
    this.#port.end();
  }

  /** Drops the connection and passes on its queries in flight. */
  destroy(errno: string): void {
    this.#port.destroy();
    this.#gone(errno);
  }

  onDeadline(): void {
    if (this.#state === 'opening') this.destroy('ETIMEDOUT');
  }

  #open(): void {
    if (this.#state !== 'opening') return;
    this.#state = 'open';
    this.lastHeardMs = this.#enter(this.phase === 'connect' ? 'connect' : 'handshake', 'wait');
    this.#context.timers.clear(this);
    this.#flush();
    this.#events.onOpen();
  }

  /** Ends one phase and begins the next; returns the current time. */
  #enter(ended: 'connect' | 'handshake', next: Connection['phase']): number {
    const nowMs = this.#context.clock.nowMs();
    this.#context.metrics.tcp.phases[ended].observe((nowMs - this.#phaseStartedMs) / 1_000);
    this.#phaseStartedMs = nowMs;
    this.phase = next;
    return nowMs;
  }

  readonly #flush = (): void => {
    if (this.#state !== 'open') return;
    const pendingQueries = this.#unsent.filter((pending) => pending.connection === this);
    this.#unsent = [];
    const [oldest] = pendingQueries;
    if (oldest === undefined) return;
    this.#batchAnswers = 0;
    const { clock, metrics } = this.#context;
    const nowMs = clock.nowMs();
    metrics.tcp.phases.write.observe((nowMs - oldest.sentMs) / 1_000);
    this.#waitingSinceMs ??= nowMs;
    for (const pending of pendingQueries) pending.writtenMs = nowMs;
    this.#port.write(framed(pendingQueries));
  };

  readonly #receive = (message: Buffer): void => {
    if (this.#state === 'gone') return;
    this.lastHeardMs = this.#context.clock.nowMs();
    const match = matchReply(message, this.#inFlight);
    if (typeof match === 'string') {
      this.#onActivity();
      this.#stray(match);
      return;
    }
    this.#strays = 0;
    this.answers++;
    this.isProven ||= match.edns;
    this.#batchAnswers++;
    this.#inFlight.delete(match.id);
    this.#onActivity();
    match.connection = undefined;
    match.owner.onReply(match, message);
    this.#events.onAnswered(this);
    this.#endIfDrained();
  };

  #onActivity(): void {
    this.#waitingSinceMs = this.#inFlight.size > 0 ? this.lastHeardMs : undefined;
  }

  #stray(reason: Mismatch): void {
    this.#context.metrics.mismatched(reason);
    if (++this.#strays >= MAX_STRAY_MESSAGES) this.destroy('EPROTO');
  }

  #endIfDrained(): void {
    if (this.#state !== 'draining' || this.#inFlight.size > 0) return;
    this.#port.end();
    this.#gone('ECONNRESET');
  }

  #gone(errno: string): void {
    const wasOpen = this.#state !== 'opening';
    if (!this.#leave()) return;
    const unanswered = this.#inFlight.takeAll();
    for (const pending of unanswered) pending.connection = undefined;
    const mayBeEdns = wasOpen && this.isClosedByPeer && !this.isProven;
    this.#events.onGone(this, unanswered, wasOpen, { phase: this.phase, errno, mayBeEdns });
  }

  /** False if it was closed already. */
  #leave(): boolean {
    if (this.#state === 'gone') return false;
    this.#state = 'gone';
    this.#unsent = [];
    this.#context.timers.clear(this);
    this.#context.metrics.tcp.connections.value--;
    return true;
  }
}
