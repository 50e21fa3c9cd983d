/**
 * The few persistent connections of one upstream. One is enough for most loads; more are opened while the others are
 * busy or silent. Unanswered queries of a closed connection are repeated once on another: a server that closes an idle
 * connection just as the agent writes to it (RFC 7766 §6.2.4) costs the client nothing. If the closed connection had
 * answered some queries, the repeat is not counted: some servers accept only one or two queries per connection. They
 * then get no more than that (`appetite.ts`), and queries wait for a connection with room.
 *
 * Behind a ClusterIP each connection is bound to one endpoint. So a connection is replaced after a number of queries
 * and seconds: that spreads the load and finds new endpoints. It is used until its replacement is open.
 */

import type { Failure } from '../failure.ts';
import type { PendingQuery } from '../pending-query.ts';
import { Appetite } from './appetite.ts';
import { isBetter, leastBusy, withRoom } from './choice.ts';
import {
  BUSY_QUERIES,
  type ConnectionContext,
  type Lifetime,
  TcpConnection,
} from './connection.ts';
import { Dials } from './dials.ts';
import { Queue } from './queue.ts';
import { Scout } from './scout.ts';

const MAX_CONNECTIONS = 4;
/** Maximum connections if each accepts only few queries. */
const MAX_BOUNDED_CONNECTIONS = 16;

/** From the Corefile, or defaults that differ between TCP and TLS. */
export interface PoolSettings {
  /** An idle connection is closed after this time, milliseconds. */
  readonly expireMs: number;
  /** Idle connections kept; 0: all. */
  readonly maxIdle: number;
  /** Lifetime of one connection, plus or minus a third. */
  readonly lifetime: Lifetime;
}

/** Serves TCP and TLS alike; only `dial` in its context differs. */
export class TcpPool {
  readonly #context: ConnectionContext;
  readonly #settings: PoolSettings;
  readonly #random: () => number;
  readonly #connections: TcpConnection[] = [];
  readonly #draining = new Set<TcpConnection>();
  readonly #dials: Dials;
  readonly #appetite: Appetite;
  /** Empty unless the upstream limits queries per connection. */
  readonly #queue = new Queue((pending) => this.#overflow(pending));
  #isServing = false;
  readonly #scout: Scout;
  #isClosed = false;

  /** `random` in [0, 1) spreads lifetimes. */
  constructor(context: ConnectionContext, settings: PoolSettings, random: () => number) {
    this.#context = context;
    this.#settings = settings;
    this.#random = random;
    this.#dials = new Dials(context.clock);
    this.#appetite = new Appetite(context);
    this.#scout = new Scout(context);
  }

  get hasOpen(): boolean {
    return this.#connections.some(({ isOpen }) => isOpen);
  }

  /** Sends, or fails at once while dialling is paused; returns whether an open connection was used. */
  send(pending: PendingQuery): boolean {
    const nowMs = this.#context.clock.nowMs();
    if (this.#appetite.isBounded()) {
      const { hasOpen } = this;
      this.#queue.add(pending, nowMs);
      this.#serve(nowMs);
      return hasOpen;
    }
    const connection = this.#pick(pending, nowMs);
    if (connection === undefined) {
      pending.owner.onFailure(pending, this.#dials.lastFailure);
      return false;
    }
    const wasOpen = connection.isOpen;
    connection.send(pending);
    return wasOpen;
  }

  /** Closes connections that have been idle for too long, are too many, or are dead. Called about once a second. */
  tidy(): void {
    const nowMs = this.#context.clock.nowMs();
    const { expireMs, maxIdle } = this.#settings;
    const { timeoutMs } = this.#context.roundTrip;
    let idle = 0;
    for (const connection of [...this.#connections]) {
      if (!connection.isOpen || connection.load > 0) continue;
      idle++;
      if (connection.silentMs(nowMs) >= timeoutMs) {
        connection.destroy('ETIMEDOUT');
      } else if (connection.idleMs(nowMs) >= expireMs || (maxIdle > 0 && idle > maxIdle)) {
        this.#remove(connection);
        connection.end();
      }
    }
  }

  /** Closes for good. Queries in flight and waiting ones fail with the `errno` of `failure`. */
  destroy(failure: Failure): void {
    this.#isClosed = true;
    const connections = [...this.#connections.splice(0), ...this.#draining];
    this.#draining.clear();
    for (const connection of connections) connection.destroy(failure.errno);
    for (const pending of this.#queue.takeAll()) pending.owner.onFailure(pending, failure);
    this.#scout.end();
  }

  /** The best connection that is not silent, or a new one; undefined if dialling is paused. */
  #pick(pending: PendingQuery, nowMs: number): TcpConnection | undefined {
    const quietMs = this.#quietMs;
    let best: TcpConnection | undefined;
    let hasYoung = false;
    for (const connection of this.#connections) {
      if (connection === pending.avoid || connection.silentMs(nowMs) >= quietMs) continue;
      hasYoung ||= !connection.isSpent(nowMs);
      if (best === undefined || isBetter(connection, best, nowMs)) best = connection;
    }
    if (best === undefined) return this.#openInsteadOfSilent(pending, nowMs);
    const isWorn = !hasYoung || best.load >= BUSY_QUERIES;
    if (!isWorn || this.#isFull || !this.#dials.mayDial(nowMs)) return best;
    const fresh = this.#open();
    // An open connection can take more queries; a new one may never open.
    return best.isOpen ? best : fresh;
  }

  #openInsteadOfSilent(pending: PendingQuery, nowMs: number): TcpConnection | undefined {
    const others = this.#connections.filter((connection) => connection !== pending.avoid);
    if (!this.#dials.mayDial(nowMs) && pending.purpose !== 'probe') return others[0];
    if (!this.#isFull) return this.#open();
    // Opened first, so that the old connection's queries can move to it.
    const [oldest] = others;
    const fresh = this.#open();
    oldest?.destroy('ETIMEDOUT');
    return fresh;
  }

  /** A connection is avoided after this silence, milliseconds; the agent's own delay does not count. */
  get #quietMs(): number {
    const { roundTrip, timers } = this.#context;
    return roundTrip.hedgeMs + timers.lagMs;
  }

  get #isFull(): boolean {
    return this.#connections.length >= MAX_CONNECTIONS;
  }

  #open(): TcpConnection {
    const { ageMs, queries, youthMs } = this.#settings.lifetime;
    const share = 2 / 3 + (this.#random() * 2) / 3;
    const connection = new TcpConnection(
      this.#context,
      {
        onOpen: () => this.#onOpen(),
        onGone: (...what) => this.#onGone(...what),
        onAnswered: (answered) => this.#onAnswered(answered),
        onLate: (...what) => this.#onLate(...what),
      },
      { ageMs: ageMs * share, queries: Math.ceil(queries * share), youthMs: youthMs * share },
    );
    this.#connections.push(connection);
    return connection;
  }

  /** A replacement is open: a spent connection may close. */
  #onOpen(): void {
    this.#dials.worked();
    const nowMs = this.#context.clock.nowMs();
    for (const connection of [...this.#connections]) {
      if (!connection.isOpen || !connection.isSpent(nowMs)) continue;
      this.#remove(connection);
      this.#draining.add(connection);
      connection.drain();
    }
  }

  #onGone(
    gone: TcpConnection,
    unanswered: readonly PendingQuery[],
    wasOpen: boolean,
    failure: Failure,
  ): void {
    this.#draining.delete(gone);
    this.#remove(gone);
    if (!wasOpen) this.#dials.failed(failure);
    const { isFree } = gone;
    // A connection that became silent is as useless as one that was closed.
    if (wasOpen && !gone.isUnread && unanswered.length > 0)
      this.#appetite.closedAfter(gone.answers, gone.startedMs);
    const isBounded = this.#appetite.isBounded();
    const nowMs = this.#context.clock.nowMs();
    let replacement: TcpConnection | undefined;
    for (const pending of unanswered) {
      const mayMove = !this.#isClosed && (isFree || !pending.isMoved);
      if (mayMove && !isBounded) replacement ??= this.#replacement(wasOpen, failure);
      if (!mayMove || (replacement === undefined && !isBounded)) {
        pending.owner.onFailure(pending, failure);
        continue;
      }
      pending.isMoved ||= !isFree;
      if (replacement === undefined) this.#queue.add(pending, nowMs);
      else replacement.send(pending);
    }
    if (!this.#isClosed) this.#serve(nowMs);
  }

  #onAnswered(connection: TcpConnection): void {
    if (connection.load === 0 && connection.carried >= this.#appetite.inAll) {
      this.#remove(connection);
      this.#draining.delete(connection);
      connection.end();
    }
    if (!this.#queue.isEmpty) this.#serve(this.#context.clock.nowMs());
  }

  /** Sends queries that wait for room, as far as there is room. */
  #serve(nowMs: number): void {
    if (this.#isServing) return;
    this.#isServing = true;
    for (let pending = this.#queue.first; pending !== undefined; pending = this.#queue.first) {
      const connection = this.#roomFor(pending, nowMs);
      if (connection === undefined) break;
      this.#queue.abandon(pending);
      connection.send(pending);
    }
    this.#isServing = false;
    if (this.#queue.isEmpty || this.#connections.length > 0) return;
    const { lastFailure } = this.#dials;
    for (const pending of this.#queue.takeAll()) pending.owner.onFailure(pending, lastFailure);
  }

  /**
   * Slow names occupy every connection: other queries must not wait for them, even at the risk that they are not read.
   */
  #overflow(pending: PendingQuery): void {
    const connection = leastBusy(this.#connections, this.#appetite);
    if (connection === undefined) return;
    this.#queue.abandon(pending);
    connection.send(pending);
  }

  #roomFor(pending: PendingQuery, nowMs: number): TcpConnection | undefined {
    const found = withRoom(this.#connections, pending, this.#appetite, this.#quietMs, nowMs);
    if (found !== undefined || !this.#dials.mayDial(nowMs)) return found;
    if (this.#connections.length >= MAX_BOUNDED_CONNECTIONS) {
      const { timeoutMs } = this.#context.roundTrip;
      const dead = this.#connections.find((each) => each.silentMs(nowMs) >= timeoutMs);
      if (dead === undefined) return undefined;
      dead.destroy('ETIMEDOUT');
    }
    return this.#open();
  }

  /** A query has been on a connection for long: the server may never have read it. */
  #onLate(silent: TcpConnection, pending: PendingQuery): void {
    const nowMs = this.#context.clock.nowMs();
    if (!silent.seemsUnread(pending, nowMs) || !this.#scout.isReady(nowMs)) return;
    const onUnread = (): void => {
      this.#appetite.takesOneAtOnce();
      silent.isUnread = true;
      silent.destroy('ETIMEDOUT');
    };
    this.#scout.start({ silent, pending, onUnread });
  }

  /**
   * Where unanswered queries go. After an open connection: to a new one, because others opened at the same time may be
   * just as dead. After a connection that failed to open: to an open one, or to another dial while dialling is allowed.
   */
  #replacement(wasOpen: boolean, { errno }: Failure): TcpConnection | undefined {
    const nowMs = this.#context.clock.nowMs();
    const quietMs = this.#quietMs;
    const wanted = this.#connections.find(
      (connection) => connection.isOpen !== wasOpen && connection.silentMs(nowMs) < quietMs,
    );
    const isWorthDialling = (wasOpen || errno !== 'ETIMEDOUT') && this.#dials.mayDial(nowMs);
    return wanted ?? (isWorthDialling ? this.#open() : undefined);
  }

  #remove(connection: TcpConnection): void {
    const at = this.#connections.indexOf(connection);
    if (at !== -1) this.#connections.splice(at, 1);
  }
}
