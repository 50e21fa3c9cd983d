/**
 * One admin port. Where it cannot be opened that is a warning and a counter, tried again until it can: it is never a
 * reason not to answer queries.
 */
import { rmSync } from 'node:fs';
import type { Server } from 'node:http';
import type { Clock, Timer } from '../base/clock.ts';
import { errnoOf, messageOf } from '../base/errors.ts';
import { FOLD_BY, type Logger, type Metrics } from '../query/services.ts';
import { answerRequest, type Pages } from './admin-http.ts';

export interface AdminOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
}

export const MIN_RETRY_MS = 250;
const MAX_RETRY_MS = 5_000;
const UNIX = 'unix:';

/** One port, open or on its way there. */
export class AdminListener {
  pages: Pages;
  readonly #address: string;
  readonly #options: AdminOptions;
  #server: Server | undefined;
  #retry: Timer | undefined;
  #retryMs = MIN_RETRY_MS;
  /** Why the port could not be opened when we last said so: the same reason is not told at every try. */
  #toldErrno: string | undefined;
  #closed = false;

  constructor(address: string, pages: Pages, options: AdminOptions) {
    this.#address = address;
    this.pages = pages;
    this.#options = options;
  }

  get port(): number | undefined {
    const bound = this.#server?.address();
    return typeof bound === 'object' ? bound?.port : undefined;
  }

  get isOpen(): boolean {
    return this.#server?.listening === true;
  }

  async open(): Promise<void> {
    const { log } = this.#options;
    try {
      const server = await listen(this.#address, () => this.pages);
      if (this.#closed) return void server.close();
      this.#server = server;
      // Whatever happens to a listener that works, such as too many open files, is not worth the process.
      server.on('error', (error) => this.#warn(error, 'admin port in trouble', {}));
      log.info({ address: this.#address, pages: [...this.pages.keys()] }, 'admin pages served');
    } catch (error) {
      this.#failed(error);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#retry?.cancel();
    const server = this.#server;
    if (server === undefined) return;
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  }

  #failed(error: unknown): void {
    const { clock, metrics } = this.#options;
    metrics.counter('nodens_admin_listen_errors_total', { address: this.#address }).value++;
    if (this.#closed) return;
    const errno = errnoOf(error);
    if (errno !== this.#toldErrno) {
      const fields = { pages: [...this.pages.keys()], remedy: remedyFor(errno, this.#address) };
      this.#warn(error, 'admin port not opened, trying again: DNS does not wait for it', fields);
    }
    this.#toldErrno = errno;
    this.#retry = clock.after(this.#retryMs, () => void this.open());
    this.#retryMs = Math.min(this.#retryMs * 2, MAX_RETRY_MS);
  }

  #warn(error: unknown, message: string, more: Readonly<Record<string, unknown>>): void {
    const { log } = this.#options;
    const address = this.#address;
    const fields = { address, errno: errnoOf(error), reason: messageOf(error), ...more };
    log.warn({ event: 'admin-port', [FOLD_BY]: `${message} ${address}`, ...fields }, message);
  }
}

/** What the operator can do about it. */
function remedyFor(errno: string, address: string): string {
  if (errno === 'EADDRINUSE' && !address.startsWith(UNIX)) {
    const port = address.slice(address.lastIndexOf(':') + 1);
    return `ss -ltnp 'sport = :${port}' names the process that has port ${port}: end it, or give these pages another port`;
  }
  if (errno === 'EADDRNOTAVAIL') return 'the address is not on this node: is init running?';
  return 'give these pages another address';
}

/** Most clients at once; scrapers and probes are few. */
const MAX_CONNECTIONS = 64;
const MAX_HEADER_BYTES = 8 * 1024;
/** Headers, and with them the whole request, must be there within this. */
const REQUEST_TIMEOUT_MS = 5_000;
const KEEP_ALIVE_MS = 5_000;
/** Then the connection is closed, so that no client holds one for ever. */
const REQUESTS_PER_CONNECTION = 1_000;

/** Opens `address`; node:http is loaded when the first page is wanted. Rejects with what the system says. */
async function listen(address: string, pages: () => Pages): Promise<Server> {
  const { createServer } = await import('node:http');
  const server = createServer(
    {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: REQUEST_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: REQUEST_TIMEOUT_MS,
    },
    (request, response) => void answerRequest(request, response, pages()),
  );
  const options = listenOptions(address);
  if ('path' in options) await removeDead(options.path);
  server.maxConnections = MAX_CONNECTIONS;
  server.maxRequestsPerSocket = REQUESTS_PER_CONNECTION;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return server;
}

/**
 * `:9253` is every address, v6 and v4; `localhost` is 127.0.0.1, as the peer has it, whatever the resolver says;
 * `unix:/path` is a socket that only processes who see the same file system reach.
 */
function listenOptions(address: string): { host?: string; port: number } | { path: string } {
  if (address.startsWith(UNIX)) return { path: address.slice(UNIX.length) };
  const colon = address.lastIndexOf(':');
  const port = Number(address.slice(colon + 1));
  const host = address.slice(0, colon).replace(/^\[|\]$/g, '');
  if (host === '') return { port };
  return { host: host === 'localhost' ? '127.0.0.1' : host, port };
}

/** A process that was killed leaves its socket behind, and nobody can listen at that path before it is gone. */
async function removeDead(path: string): Promise<void> {
  const { connect } = await import('node:net');
  const errno = await new Promise<string | undefined>((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(undefined);
    });
    socket.on('error', (error) => resolve(errnoOf(error)));
  });
  if (errno === 'ECONNREFUSED') rmSync(path, { force: true });
}
