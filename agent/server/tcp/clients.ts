/**
 * The TCP connections of all listeners together, within one limit (RFC 7766 §6.2.2). At the limit the client with the
 * most connections loses one, so that a client with few can always connect.
 */

import type { MemoryLedger } from '../../base/clients/memory-ledger.ts';
import { LIMITS } from '../../base/limits.ts';
import type { WaitingRoom } from './accept-queue.ts';
import type { TcpConnection } from './connection.ts';
import { TcpScheduler } from './scheduler.ts';

/** One for the process. `max` counts the connections of all clients together, `maxWaiting` those that wait for a turn. */
export class TcpClients {
  readonly ledger: MemoryLedger;
  readonly scheduler = new TcpScheduler();
  readonly waiting: WaitingRoom;
  readonly #max: number;
  readonly #byClient = new Map<string, Set<TcpConnection>>();
  #count = 0;

  constructor(
    ledger: MemoryLedger,
    max: number = LIMITS.tcpConnections.default,
    maxWaiting: number = LIMITS.tcpWaiting.default,
  ) {
    this.ledger = ledger;
    this.#max = max;
    this.waiting = { max: maxWaiting, count: 0 };
  }

  /**
   * Makes room for one more connection of the client `key` if there is none: closes the idlest connection of the client
   * with the most, counting the new one.
   */
  makeRoomFor(key: string): TcpConnection | undefined {
    if (this.#count < this.#max) return undefined;
    const idlest = this.#idlest(this.#largestBeside(key));
    if (idlest === undefined) return undefined;
    this.delete(idlest);
    idlest.giveWay();
    return idlest;
  }

  /** Closes a connection that uses memory and waits for more: only the end of such connections would free any. */
  release(connection: TcpConnection): void {
    const share = this.ledger.share(connection.key);
    share.remove(connection);
    connection.giveWay();
    this.ledger.limited(share, connection.kind);
  }

  /** Counts a new connection. Call `makeRoomFor` first: this method has no limit. */
  add(connection: TcpConnection): void {
    const own = this.#byClient.get(connection.key);
    if (own === undefined) this.#byClient.set(connection.key, new Set([connection]));
    else own.add(connection);
    this.#count++;
  }

  /** Stops counting a connection. Idempotent. */
  delete(connection: TcpConnection): void {
    const own = this.#byClient.get(connection.key);
    if (own?.delete(connection) !== true) return;
    this.#count--;
    if (own.size === 0) this.#byClient.delete(connection.key);
  }

  /** The client with the most connections by its weight; `newcomer` counts one more than it has. */
  #largestBeside(newcomer: string): ReadonlySet<TcpConnection> {
    let largest: ReadonlySet<TcpConnection> = this.#byClient.get(newcomer) ?? new Set();
    let most = this.#weighted(newcomer, largest.size === 0 ? 0 : largest.size + 1);
    for (const [key, connections] of this.#byClient) {
      const load = this.#weighted(key, connections.size);
      if (load <= most) continue;
      most = load;
      largest = connections;
    }
    return largest;
  }

  #weighted(key: string, count: number): number {
    return count / this.ledger.weightOf(key);
  }

  /** The least recently used connection without a pending answer; if all have one, the least recently used. */
  #idlest(connections: ReadonlySet<TcpConnection>): TcpConnection | undefined {
    let idlest: TcpConnection | undefined;
    for (const connection of connections) {
      if (idlest === undefined || isIdler(connection, idlest)) idlest = connection;
    }
    return idlest;
  }
}

function isIdler(one: TcpConnection, other: TcpConnection): boolean {
  if (one.hasPendingResponses !== other.hasPendingResponses) return other.hasPendingResponses;
  return one.activeMs < other.activeMs;
}
