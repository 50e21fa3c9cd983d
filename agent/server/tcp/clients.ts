/** The TCP clients of all listeners together, within one limit (RFC 7766 §6.2.2). */
import { LIMITS } from '../../base/limits.ts';
import type { TcpConnection } from './connection.ts';

export class TcpClients {
  readonly #clients = new Set<TcpConnection>();
  readonly #max: number;

  constructor(max: number = LIMITS.tcpConnections.default) {
    this.#max = max;
  }

  get isFull(): boolean {
    return this.#clients.size >= this.#max;
  }

  add(client: TcpConnection): void {
    this.#clients.add(client);
  }

  delete(client: TcpConnection): void {
    this.#clients.delete(client);
  }

  /** Closes the client that has been idle longest; false where all are waiting for answers. */
  evictIdle(): boolean {
    let idlest: TcpConnection | undefined;
    for (const client of this.#clients) {
      if (client.isOwed) continue;
      if (idlest === undefined || client.activeMs < idlest.activeMs) idlest = client;
    }
    if (idlest === undefined) return false;
    this.#clients.delete(idlest);
    idlest.destroy();
    return true;
  }
}
