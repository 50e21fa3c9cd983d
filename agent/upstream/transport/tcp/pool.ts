/**
 * The few persistent connections of one upstream. One is enough for most loads; more are opened while the others are
 * busy or silent. What a dying connection had in flight is asked once more on another: a server that closes an idle
 * connection just as we write to it (RFC 7766 §6.2.4) costs the client nothing. Where it had answered something before,
 * that does not count as once: some servers take one or two queries a connection. They then get no more than they take
 * (`appetite.ts`), and queries wait for a connection with room.
 *
 * Behind a ClusterIP each connection is bound to one endpoint, so a connection is given up after a number of queries
 * and seconds: that is what spreads the load and what finds new endpoints. It is used until its heir is open.
 */

import type { Failure } from '../failure.ts';
import type { Flight } from '../pending-query.ts';
import { Appetite } from './appetite.ts';
import { isBetter, leastBusy, withRoom } from './choice.ts';
import { type ConnectionContext, type Lifetime, TcpConnection } from './connection.ts';
import { Dials } from './dials.ts';
import { Queue } from './queue.ts';
import { Scout } from './scout.ts';

const MAX_CONNECTIONS = 4;
/** In flight on every connection before another one is opened. */
const BUSY_QUERIES = 64;
/** Connections at most where each takes but few queries. */
const MAX_BOUNDED_CONNECTIONS = 16;

export interface PoolSettings {
  /** An idle connection is closed after this, milliseconds. */
  readonly expireMs: number;
  /** Idle connections kept; 0: all. */
  readonly maxIdle: number;
  /** What one connection is for, give or take a third. */
  readonly lifetime: Lifetime;
}

export class TcpPool {
  readonly #context: ConnectionContext;
  readonly #settings: PoolSettings;
  readonly #random: () => number;
  readonly #connections: TcpConnection[] = [];
  readonly #draining = new Set<TcpConnection>();
  readonly #dials: Dials;
  readonly #appetite: Appetite;
  /** Empty unless the appetite is bounded. */
  readonly #queue = new Queue((flight) => this.#overflow(flight));
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

  /** Sends, or fails at once while dialling is no use; returns whether it found an open connection. */
  send(flight: Flight): boolean {
    const nowMs = this.#context.clock.nowMs();
    if (this.#appetite.isBounded()) {
      const { hasOpen } = this;
      this.#queue.add(flight, nowMs);
      this.#serve(nowMs);
      return hasOpen;
    }
    const connection = this.#pick(flight, nowMs);
    if (connection === undefined) {
      flight.owner.onFailure(flight, this.#dials.lastFailure);
      return false;
    }
    const wasOpen = connection.isOpen;
    connection.send(flight);
    return wasOpen;
  }

  /** Closes connections that are idle for too long, or too many, or dead. Called about once a second. */
  tidy(): void {
    const nowMs = this.#context.clock.nowMs();
    const { expireMs, maxIdle } = this.#settings;
    const { patienceMs } = this.#context.roundTrip;
    let idle = 0;
    for (const connection of [...this.#connections]) {
      if (!connection.isOpen || connection.load > 0) continue;
      idle++;
      if (connection.silentMs(nowMs) >= patienceMs) {
        connection.destroy('ETIMEDOUT');
      } else if (connection.idleMs(nowMs) >= expireMs || (maxIdle > 0 && idle > maxIdle)) {
        this.#remove(connection);
        connection.end();
      }
    }
  }

  destroy(failure: Failure): void {
    this.#isClosed = true;
    const connections = [...this.#connections.splice(0), ...this.#draining];
    this.#draining.clear();
    for (const connection of connections) connection.destroy(failure.errno);
    for (const flight of this.#queue.takeAll()) flight.owner.onFailure(flight, failure);
    this.#scout.end();
  }

  /** The best connection that is not silent, or a new one; undefined where it is too early to dial again. */
  #pick(flight: Flight, nowMs: number): TcpConnection | undefined {
    const quietMs = this.#quietMs;
    let best: TcpConnection | undefined;
    let hasYoung = false;
    for (const connection of this.#connections) {
      if (connection === flight.avoid || connection.silentMs(nowMs) >= quietMs) continue;
      hasYoung ||= !connection.isSpent(nowMs);
      if (best === undefined || isBetter(connection, best, nowMs)) best = connection;
    }
    if (best === undefined) return this.#openInsteadOfSilent(flight, nowMs);
    const isWorn = !hasYoung || best.load >= BUSY_QUERIES;
    if (!isWorn || this.#isFull || !this.#dials.mayDial(nowMs)) return best;
    const fresh = this.#open();
    // An open one can take more; a fresh one may turn out to lead nowhere.
    return best.isOpen ? best : fresh;
  }

  #openInsteadOfSilent(flight: Flight, nowMs: number): TcpConnection | undefined {
    const others = this.#connections.filter((connection) => connection !== flight.avoid);
    if (!this.#dials.mayDial(nowMs) && flight.purpose !== 'probe') return others[0];
    if (!this.#isFull) return this.#open();
    // Opened first, so that what the old one has in flight finds it.
    const [oldest] = others;
    const fresh = this.#open();
    oldest?.destroy('ETIMEDOUT');
    return fresh;
  }

  /** A connection is avoided after this long without a word, milliseconds; our own lateness is not its silence. */
  get #quietMs(): number {
    const { roundTrip, deadlines } = this.#context;
    return roundTrip.hedgeMs + deadlines.lagMs;
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

  /** There is an heir: a connection that has done its part may go. */
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
    orphans: readonly Flight[],
    wasOpen: boolean,
    failure: Failure,
  ): void {
    this.#draining.delete(gone);
    this.#remove(gone);
    if (!wasOpen) this.#dials.failed(failure);
    const { isFree } = gone;
    // One that has gone silent is of no more use than one that was closed.
    if (wasOpen && !gone.isUnread && orphans.length > 0)
      this.#appetite.closedAfter(gone.answers, gone.startedMs);
    const isBounded = this.#appetite.isBounded();
    const nowMs = this.#context.clock.nowMs();
    let heir: TcpConnection | undefined;
    for (const flight of orphans) {
      const mayMove = !this.#isClosed && (isFree || !flight.isMoved);
      if (mayMove && !isBounded) heir ??= this.#heir(wasOpen, failure);
      if (!mayMove || (heir === undefined && !isBounded)) {
        flight.owner.onFailure(flight, failure);
        continue;
      }
      flight.isMoved ||= !isFree;
      if (heir === undefined) this.#queue.add(flight, nowMs);
      else heir.send(flight);
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

  /** Sends what waits for room, as far as there is some. */
  #serve(nowMs: number): void {
    if (this.#isServing) return;
    this.#isServing = true;
    for (let flight = this.#queue.first; flight !== undefined; flight = this.#queue.first) {
      const connection = this.#roomFor(flight, nowMs);
      if (connection === undefined) break;
      this.#queue.abandon(flight);
      connection.send(flight);
    }
    this.#isServing = false;
    if (this.#queue.isEmpty || this.#connections.length > 0) return;
    const { lastFailure } = this.#dials;
    for (const flight of this.#queue.takeAll()) flight.owner.onFailure(flight, lastFailure);
  }

  /** Names that are slow hold every connection: others must not wait for them, at the risk of not being read. */
  #overflow(flight: Flight): void {
    const connection = leastBusy(this.#connections, this.#appetite);
    if (connection === undefined) return;
    this.#queue.abandon(flight);
    connection.send(flight);
  }

  #roomFor(flight: Flight, nowMs: number): TcpConnection | undefined {
    const found = withRoom(this.#connections, flight, this.#appetite, this.#quietMs, nowMs);
    if (found !== undefined || !this.#dials.mayDial(nowMs)) return found;
    if (this.#connections.length >= MAX_BOUNDED_CONNECTIONS) {
      const { patienceMs } = this.#context.roundTrip;
      const dead = this.#connections.find((each) => each.silentMs(nowMs) >= patienceMs);
      if (dead === undefined) return undefined;
      dead.destroy('ETIMEDOUT');
    }
    return this.#open();
  }

  /** A query has been on a connection for long: it may never have been read. */
  #onLate(silent: TcpConnection, flight: Flight): void {
    if (!silent.seemsUnread(flight) || !this.#scout.isReady(this.#context.clock.nowMs())) return;
    const onUnread = (): void => {
      this.#appetite.takesOneAtOnce();
      silent.isUnread = true;
      silent.destroy('ETIMEDOUT');
    };
    this.#scout.start({ silent, flight, onUnread });
  }

  /**
   * Where orphans go: others opened at the same time may be just as dead, so after an open connection to a new one;
   * after one that could not be opened to one that is, or to another dial while that is free.
   */
  #heir(wasOpen: boolean, { errno }: Failure): TcpConnection | undefined {
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
