/**
 * The few persistent connections of one upstream. One is enough for most loads; more are opened while the others are
 * busy or silent. What a dying connection had in flight is asked once more on another: a server that closes an idle
 * connection just as we write to it (RFC 7766 §6.2.4) costs the client nothing.
 */
import type { Flight } from './flight.ts';
import type { Failure } from './ports.ts';
import { type ConnectionContext, TcpConnection } from './tcp-connection.ts';

const MAX_CONNECTIONS = 4;
/** In flight on every connection before another one is opened. */
const BUSY_QUERIES = 64;

export class TcpPool {
  /** An idle connection is closed after this, milliseconds. */
  expireMs = 10_000;
  readonly #context: ConnectionContext;
  readonly #connections: TcpConnection[] = [];

  constructor(context: ConnectionContext) {
    this.#context = context;
  }

  /** Sends; returns whether it found a connection that was open already. */
  send(flight: Flight): boolean {
    const connection = this.#pick();
    const wasOpen = connection.isOpen;
    connection.send(flight);
    return wasOpen;
  }

  /** Closes connections that are idle for too long. Called about once a second. */
  tidy(): void {
    const nowMs = this.#context.clock.nowMs();
    for (const connection of [...this.#connections]) {
      if (connection.idleMs(nowMs) >= this.expireMs) {
        this.#remove(connection);
        connection.end();
      }
    }
  }

  destroy(failure: Failure): void {
    const connections = this.#connections.splice(0);
    for (const connection of connections) connection.destroy(failure.errno);
  }

  /** The least loaded connection that is not silent, or a new one. */
  #pick(): TcpConnection {
    const nowMs = this.#context.clock.nowMs();
    let best: TcpConnection | undefined;
    for (const connection of this.#connections) {
      if (connection.isSilent(nowMs)) continue;
      if (best === undefined || connection.load < best.load) best = connection;
    }
    if (best === undefined) return this.#openInsteadOfSilent();
    const isFull = this.#connections.length >= MAX_CONNECTIONS;
    return best.load < BUSY_QUERIES || isFull ? best : this.#open();
  }

  #openInsteadOfSilent(): TcpConnection {
    const [oldest] = this.#connections;
    if (this.#connections.length < MAX_CONNECTIONS || oldest === undefined) return this.#open();
    // Opened first, so that what the old one has in flight finds it.
    const fresh = this.#open();
    oldest.destroy('ETIMEDOUT');
    return fresh;
  }

  #open(): TcpConnection {
    const connection = new TcpConnection(this.#context, {
      onGone: (gone, orphans, wasOpen, errno) => this.#onGone(gone, orphans, wasOpen, errno),
    });
    this.#connections.push(connection);
    return connection;
  }

  #onGone(gone: TcpConnection, orphans: readonly Flight[], wasOpen: boolean, errno: string): void {
    const isOurs = this.#remove(gone);
    const failure: Failure = { phase: wasOpen ? 'wait' : 'connect', errno };
    let heir: TcpConnection | undefined;
    for (const flight of orphans) {
      if (isOurs && !flight.isMoved) heir ??= this.#heir(wasOpen);
      if (flight.isMoved || heir === undefined) {
        flight.owner.onFailure(flight, failure);
      } else {
        flight.isMoved = true;
        heir.send(flight);
      }
    }
  }

  /**
   * Where orphans go: others opened at the same time may be just as dead, so after an open connection to a new one;
   * after one that could not be opened only to one that is open.
   */
  #heir(wasOpen: boolean): TcpConnection | undefined {
    if (!wasOpen) return this.#connections.find(({ isOpen }) => isOpen);
    return this.#connections.find(({ isOpen }) => !isOpen) ?? this.#open();
  }

  #remove(connection: TcpConnection): boolean {
    const at = this.#connections.indexOf(connection);
    if (at !== -1) this.#connections.splice(at, 1);
    return at !== -1;
  }
}
