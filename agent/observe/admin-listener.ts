/**
 * One admin port. Where it cannot be opened that is a warning and a counter, tried again until it can: it is never a
 * reason not to answer queries.
 */
import type { Server } from 'node:net';
import type { Timer } from '../base/clock.ts';
import { errnoOf, messageOf } from '../base/errors.ts';
import { lackOfOpening } from '../base/lack.ts';
import { FOLD_BY } from '../query/services.ts';
import { askFirst } from './admin/first-request.ts';
import { type HttpClients, type HttpClientsOptions, UNIX } from './admin/http-clients.ts';
import type { Pages } from './admin-http.ts';

export type AdminOptions = HttpClientsOptions;

export const MIN_RETRY_MS = 250;
const MAX_RETRY_MS = 5_000;

/** One port, open or on its way there. */
export class AdminListener {
  pages: Pages;
  readonly #address: string;
  readonly #options: AdminOptions;
  readonly #clients: HttpClients;
  #server: Server | undefined;
  #retry: Timer | undefined;
  #retryMs = MIN_RETRY_MS;
  /** Why the port could not be opened when we last said so: the same reason is not told at every try. */
  #toldErrno: string | undefined;
  #closed = false;

  constructor(address: string, pages: Pages, options: AdminOptions, clients: HttpClients) {
    this.#address = address;
    this.pages = pages;
    this.#options = options;
    this.#clients = clients;
  }

  get port(): number | undefined {
    const bound = this.#server?.address();
    return typeof bound === 'object' ? bound?.port : undefined;
  }

  get isOpen(): boolean {
    return this.#server?.listening === true;
  }

  async open(): Promise<void> {
    const { log, clock } = this.#options;
    try {
      // Loaded when the first page is wanted: node:http is not for nothing.
      const { openAdminPort } = await import('./admin-port.ts');
      const server = await openAdminPort(this.#address, () => this.pages, this.#clients);
      if (this.#closed) return void server.close();
      this.#server = server;
      // Whatever happens to a listener that works, such as too many open files, is not worth the process.
      server.on('error', (error) => this.#warn(error, 'admin port in trouble', {}));
      if (this.#clients.isUnused) await askFirst(server, clock);
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
      this.#clients.closeAll(this.#address);
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
  const lack = lackOfOpening(errno);
  if (lack !== undefined)
    return `this node lacks ${lack}: raise its limit, or find what uses them up`;
  if (errno === 'EADDRNOTAVAIL') return 'the address is not on this node: is init running?';
  return 'give these pages another address';
}
