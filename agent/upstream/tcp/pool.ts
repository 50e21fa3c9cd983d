/**
 * The few persistent connections of one upstream. One is enough for most loads; more are opened while the others are
 * busy or silent. What a dying connection had in flight is asked once more on another: a server that closes an idle
 * connection just as we write to it (RFC 7766 §6.2.4) costs the client nothing.
 *
 * Behind a ClusterIP each connection is bound to one endpoint, so a connection is given up after a number of queries
 * and seconds: that is what spreads the load and what finds new endpoints. It is used until its heir is open.
 */
import type { Flight } from '../flight.ts';
import type { Failure } from '../ports.ts';
import { type ConnectionContext, type Lifetime, TcpConnection } from './connection.ts';

const MAX_CONNECTIONS = 4;
/** In flight on every connection before another one is opened. */
const BUSY_QUERIES = 64;
/** Failed dials in a row before the next has to wait: a Service with one dead endpoint is worth another try. */
const FREE_REDIALS = 2;
/**
 * So many of them may be refused before that counts: a refusal comes at once. Where one endpoint of two is dead, chance
 * brings a pause to one connection of 512.
 */
const FREE_REFUSALS = 7;
const REDIAL_MS = 25;
const MAX_REDIAL_MS = 1_000;
const REFUSED: Failure = { phase: 'connect', errno: 'ECONNREFUSED' };

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
  /** Failed dials since one worked, and refusals that are still free. */
  #failedDials = 0;
  #freeRefusals = FREE_REFUSALS;
  #redialMs = Number.NEGATIVE_INFINITY;
  #lastFailure = REFUSED;
  #isClosed = false;

  /** `random` in [0, 1) spreads lifetimes. */
  constructor(context: ConnectionContext, settings: PoolSettings, random: () => number) {
    this.#context = context;
    this.#settings = settings;
    this.#random = random;
  }

  get hasOpen(): boolean {
    return this.#connections.some(({ isOpen }) => isOpen);
  }

  /** Sends, or fails at once while dialling is no use; returns whether it found an open connection. */
  send(flight: Flight): boolean {
    const connection = this.#pick(flight, this.#context.clock.nowMs());
    if (connection === undefined) {
      flight.owner.onFailure(flight, this.#lastFailure);
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
    if (!isWorn || this.#isFull || !this.#mayDial(nowMs)) return best;
    const fresh = this.#open();
    // An open one can take more; a fresh one may turn out to lead nowhere.
    return best.isOpen ? best : fresh;
  }

  #openInsteadOfSilent(flight: Flight, nowMs: number): TcpConnection | undefined {
    const others = this.#connections.filter((connection) => connection !== flight.avoid);
    if (!this.#mayDial(nowMs) && flight.purpose !== 'probe') return others[0];
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

  #mayDial(nowMs: number): boolean {
    return nowMs >= this.#redialMs;
  }

  #open(): TcpConnection {
    const { ageMs, queries, youthMs } = this.#settings.lifetime;
    const share = 2 / 3 + (this.#random() * 2) / 3;
    const connection = new TcpConnection(
      this.#context,
      {
        onOpen: () => this.#onOpen(),
        onGone: (...what) => this.#onGone(...what),
      },
      { ageMs: ageMs * share, queries: Math.ceil(queries * share), youthMs: youthMs * share },
    );
    this.#connections.push(connection);
    return connection;
  }

  /** There is an heir: whoever has done its part may go. */
  #onOpen(): void {
    this.#failedDials = 0;
    this.#freeRefusals = FREE_REFUSALS;
    this.#redialMs = Number.NEGATIVE_INFINITY;
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
    if (!wasOpen) this.#dialFailed(failure);
    let heir: TcpConnection | undefined;
    for (const flight of orphans) {
      if (!this.#isClosed && !flight.isMoved) heir ??= this.#heir(wasOpen, failure);
      if (flight.isMoved || heir === undefined) {
        flight.owner.onFailure(flight, failure);
      } else {
        flight.isMoved = true;
        heir.send(flight);
      }
    }
  }

  #dialFailed(failure: Failure): void {
    this.#lastFailure = failure;
    if (failure.errno === 'ECONNREFUSED' && this.#freeRefusals-- > 0) return;
    this.#failedDials++;
    const extra = this.#failedDials - FREE_REDIALS;
    if (extra < 0) return;
    const pauseMs = Math.min(MAX_REDIAL_MS, REDIAL_MS * 2 ** extra);
    this.#redialMs = this.#context.clock.nowMs() + pauseMs;
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
    const isWorthDialling = (wasOpen || errno !== 'ETIMEDOUT') && this.#mayDial(nowMs);
    return wanted ?? (isWorthDialling ? this.#open() : undefined);
  }

  #remove(connection: TcpConnection): void {
    const at = this.#connections.indexOf(connection);
    if (at !== -1) this.#connections.splice(at, 1);
  }
}

/** Open before opening, young before spent, then the one with less to do. */
function isBetter(one: TcpConnection, other: TcpConnection, nowMs: number): boolean {
  if (one.isOpen !== other.isOpen) return one.isOpen;
  const isSpent = one.isSpent(nowMs);
  if (isSpent !== other.isSpent(nowMs)) return !isSpent;
  return one.load < other.load;
}
