/** The HTTP connections of all admin ports: whatever one client does, every other client can connect. */
import type { Socket } from 'node:net';
import { clientKey } from '../../base/clients/client-key.ts';
import type { MemoryLedger } from '../../base/clients/memory-ledger.ts';
import type { Clock } from '../../base/clock.ts';
import { LIMITS } from '../../base/limits.ts';
import type { PacedWork } from '../../base/paced-work.ts';
import type { Limited } from '../../query/services/client-limits.ts';
import type { Logger } from '../../query/services/log.ts';
import type { Metrics } from '../../query/services/metrics.ts';
import { type CloseReason, HttpConnection } from './http-connection.ts';

/** What the admin ports need of the process. */
export interface HttpClientsOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly ledger: MemoryLedger;
  readonly work: PacedWork;
  /** Counts and logs that a client was limited (`observe/log/client-limits.ts`). */
  readonly onLimited: (what: Limited, key: string) => void;
}

/** Prefix of a unix socket's address. */
export const UNIX = 'unix:';

/** The offence reported for a close reason. The ledger itself reports a lack of memory. */
const LIMITED: Readonly<Record<CloseReason, Limited | undefined>> = {
  request_timeout: 'http_slow',
  response_timeout: 'http_slow',
  connections: 'http',
  memory: undefined,
  malformed: 'http_nonsense',
};

/** Keeps at most `max` connections. Above it an answered one is closed, else the oldest of the client with the most. */
export class HttpClients {
  readonly #options: HttpClientsOptions;
  readonly #max: number;
  /** By client, ordered by age. */
  readonly #byKey = new Map<string, Set<HttpConnection>>();
  readonly #addresses = new Map<HttpConnection, string>();
  /** Whether no connection has been accepted yet. */
  isUnused = true;

  constructor(options: HttpClientsOptions, max: number = LIMITS.adminConnections.default) {
    this.#options = options;
    this.#max = max;
  }

  /** Accepts a connection to the admin port `address`; `serve` gets it once its client has sent something. */
  accept(socket: Socket, address: string, serve: (connection: HttpConnection) => void): void {
    this.isUnused = false;
    const { remoteAddress } = socket;
    const isLocal = address.startsWith(UNIX);
    if (!isLocal && remoteAddress === undefined) {
      // Already closed.
      socket.destroy();
      return;
    }
    const key = isLocal ? '' : clientKey(remoteAddress ?? '');
    const { clock, work, ledger } = this.#options;
    const share = ledger.share(key);
    const connection: HttpConnection = new HttpConnection(socket, {
      ...{ key, clock, work, serve },
      onHeld: (bytes) => share.resize(connection, bytes),
      onClosed: (reason) => {
        share.remove(connection);
        this.#closed(connection, key, reason);
      },
    });
    const own = this.#byKey.get(key) ?? new Set();
    this.#byKey.set(key, own.add(connection));
    this.#addresses.set(connection, address);
    this.#gauge(address).value++;
    share.add(connection);
    if (this.#addresses.size > this.#max) this.#makeRoom();
  }

  /** Closes all connections to the admin port `address`. */
  closeAll(address: string): void {
    for (const [connection, own] of this.#addresses) if (own === address) connection.destroy();
  }

  /** Closes an answered connection that only waits for its end, else the oldest one of the client with the most. */
  #makeRoom(): void {
    let largest: ReadonlySet<HttpConnection> = new Set();
    for (const own of this.#byKey.values()) {
      for (const connection of own) if (connection.isLeaving) return void connection.destroy();
      if (own.size > largest.size) largest = own;
    }
    const [oldest] = largest;
    oldest?.close('connections');
  }

  #closed(connection: HttpConnection, key: string, reason: CloseReason | undefined): void {
    const address = this.#addresses.get(connection) as string;
    this.#addresses.delete(connection);
    const own = this.#byKey.get(key);
    own?.delete(connection);
    if (own?.size === 0) this.#byKey.delete(key);
    this.#gauge(address).value--;
    if (reason !== undefined) this.#report(address, key, reason);
  }

  #report(address: string, key: string, reason: CloseReason): void {
    const { metrics, onLimited } = this.#options;
    metrics.counter('nodens_admin_connections_closed_total', { address, reason }).value++;
    const limited = LIMITED[reason];
    if (limited !== undefined) onLimited(limited, key);
  }

  #gauge(address: string): { value: number } {
    return this.#options.metrics.gauge('nodens_admin_connections', { address });
  }
}
