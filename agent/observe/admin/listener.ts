/**
 * One admin port. If it cannot be opened, the agent counts and logs that and retries; DNS is not affected. A cause that
 * every start or update may have is a warning only if it lasts.
 */
import type { Server } from 'node:net';
import type { Timer } from '../../base/clock.ts';
import { errnoOf, messageOf } from '../../base/errors.ts';
import { lackOfOpening } from '../../base/lack.ts';
import { DEDUPLICATE_BY } from '../../query/services/log.ts';
import { askFirst } from './first-request.ts';
import { type HttpClients, type HttpClientsOptions, UNIX } from './http-clients.ts';
import type { Pages } from './http-request.ts';

/** A listener needs the same as the connections it accepts. */
export type AdminOptions = HttpClientsOptions;

/** Delay of the first retry, milliseconds; each further delay is twice as long, up to a maximum. */
export const MIN_RETRY_MS = 250;
const MAX_RETRY_MS = 5_000;
/**
 * How long a cause is normal, milliseconds. In an update the old pod has the port until it has drained; at a start init
 * may not have added the address to the node yet.
 */
export const USUAL_MS: Readonly<Partial<Record<string, number>>> = {
  EADDRINUSE: 60_000,
  EADDRNOTAVAIL: 30_000,
};

/** One port, open or being opened. */
export class AdminListener {
  pages: Pages;
  readonly #address: string;
  readonly #options: AdminOptions;
  readonly #clients: HttpClients;
  #server: Server | undefined;
  #retry: Timer | undefined;
  #retryMs = MIN_RETRY_MS;
  /** Why the port cannot be opened, since when, and the level at which that was logged: not at every attempt. */
  #trouble: { errno: string; sinceMs: number; loggedAt: 'info' | 'warn' | undefined } | undefined;
  #closed = false;

  constructor(address: string, pages: Pages, options: AdminOptions, clients: HttpClients) {
    this.#address = address;
    this.pages = pages;
    this.#options = options;
    this.#clients = clients;
  }

  /** The TCP port that is open; undefined while none is, and for a unix socket. */
  get port(): number | undefined {
    const bound = this.#server?.address();
    return typeof bound === 'object' ? bound?.port : undefined;
  }

  get isOpen(): boolean {
    return this.#server?.listening === true;
  }

  /** Opens the port, or schedules a retry. Never rejects. */
  async open(): Promise<void> {
    const { log, clock } = this.#options;
    try {
      // Loaded when the first endpoint is needed, because node:http costs memory.
      const { openAdminPort } = await import('./port.ts');
      const server = await openAdminPort(this.#address, () => this.pages, this.#clients);
      if (this.#closed) return void server.close();
      this.#server = server;
      this.#trouble = undefined;
      // An error of an open listener, such as too many open files, must not end the process.
      server.on('error', (error) => this.#log('warn', error, 'admin port has failed', {}));
      if (this.#clients.isUnused) await askFirst(server, clock);
      log.info({ address: this.#address, pages: [...this.pages.keys()] }, 'admin port open');
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Ends retries, closes the port and its connections. Resolves when the port is free. */
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
    this.#explain(error);
    this.#retry = clock.after(this.#retryMs, () => void this.open());
    this.#retryMs = Math.min(this.#retryMs * 2, MAX_RETRY_MS);
  }

  #explain(error: unknown): void {
    const errno = errnoOf(error);
    const nowMs = this.#options.clock.nowMs();
    if (this.#trouble?.errno !== errno)
      this.#trouble = { errno, sinceMs: nowMs, loggedAt: undefined };
    const trouble = this.#trouble;
    const usualMs = this.#address.startsWith(UNIX) ? 0 : (USUAL_MS[errno] ?? 0);
    const level = nowMs - trouble.sinceMs < usualMs ? 'info' : 'warn';
    if (trouble.loggedAt === level) return;
    trouble.loggedAt = level;
    const remedy = remedyFor(errno, this.#address, level);
    const message = 'cannot open an admin port, will retry: DNS is not affected';
    this.#log(level, error, message, { pages: [...this.pages.keys()], remedy });
  }

  #log(
    level: 'info' | 'warn',
    error: unknown,
    message: string,
    more: Readonly<Record<string, unknown>>,
  ): void {
    const { log } = this.#options;
    const address = this.#address;
    const fields = { address, errno: errnoOf(error), reason: messageOf(error), ...more };
    log[level](
      { event: 'admin-port', [DEDUPLICATE_BY]: `${message} ${address}`, ...fields },
      message,
    );
  }
}

/** What the operator can do; at level info, the likely outcome. */
function remedyFor(errno: string, address: string, level: 'info' | 'warn'): string {
  if (errno === 'EADDRINUSE' && !address.startsWith(UNIX)) {
    const port = address.slice(address.lastIndexOf(':') + 1);
    const usual = 'during an update the previous pod, which ends soon';
    const lasting = 'end it, or give these endpoints another port';
    return `ss -ltnp 'sport = :${port}' names the process that has port ${port}: ${level === 'info' ? usual : lasting}`;
  }
  const lack = lackOfOpening(errno);
  if (lack !== undefined)
    return `this node lacks ${lack}: raise the limit, or find the program that uses it up`;
  if (errno === 'EADDRNOTAVAIL')
    return level === 'info'
      ? 'init has not put the address on this node yet'
      : 'the address is not on this node: is init running?';
  return 'give these endpoints another address';
}
