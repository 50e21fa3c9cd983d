/**
 * The HTTP endpoints (/metrics, /health, /ready). Each configuration lists its paths by address; a reload replaces them
 * and leaves ports that stay open.
 */
import type { AdminHandler } from '../../query/services/admin.ts';
import { HttpClients } from './http-clients.ts';
import type { Pages } from './http-request.ts';
import { AdminListener, type AdminOptions } from './listener.ts';

/** One endpoint. `address` is `host:port`, `:port` or `[v6]:port`. */
export interface AdminRoute {
  readonly address: string;
  readonly path: string;
  readonly handler: AdminHandler;
}

/** All admin ports of the process. Their connections share one limit. */
export class AdminServer {
  readonly #options: AdminOptions;
  readonly #clients: HttpClients;
  readonly #listeners = new Map<string, AdminListener>();

  constructor(options: AdminOptions) {
    this.#options = options;
    this.#clients = new HttpClients(options);
  }

  /**
   * Serves `routes` and nothing else; of two routes for the same path the last one is used. Resolves when every new
   * port has been tried once. Never rejects: a port that cannot be opened is retried in the background.
   */
  async reconcile(routes: readonly AdminRoute[]): Promise<void> {
    const wanted = pagesByAddress(routes);
    const gone: AdminListener[] = [];
    for (const [address, listener] of this.#listeners) {
      const pages = wanted.get(address);
      if (pages !== undefined) {
        listener.pages = pages;
        continue;
      }
      this.#listeners.delete(address);
      gone.push(listener);
    }
    // Close before opening: `:9253` may become `127.0.0.1:9253`.
    await Promise.all(gone.map((listener) => listener.close()));
    await Promise.all(this.#missing(wanted).map((listener) => listener.open()));
  }

  /** Open ports, by the address as configured. */
  get ports(): ReadonlyMap<string, number> {
    const ports = new Map<string, number>();
    for (const [address, { port }] of this.#listeners) {
      if (port !== undefined) ports.set(address, port);
    }
    return ports;
  }

  /** Current endpoints as URLs, sorted. */
  get served(): string[] {
    const open = [...this.#listeners].filter(([, { isOpen }]) => isOpen);
    return open
      .flatMap(([address, { pages }]) => [...pages.keys()].map((path) => urlOf(address, path)))
      .sort();
  }

  /** Closes all ports and their connections. */
  async close(): Promise<void> {
    await this.reconcile([]);
  }

  /** Creates listeners for the addresses that have none. */
  #missing(wanted: ReadonlyMap<string, Pages>): AdminListener[] {
    const made: AdminListener[] = [];
    for (const [address, pages] of wanted) {
      if (this.#listeners.has(address)) continue;
      const listener = new AdminListener(address, pages, this.#options, this.#clients);
      this.#listeners.set(address, listener);
      made.push(listener);
    }
    return made;
  }
}

function urlOf(address: string, path: string): string {
  return address.startsWith('unix:') ? `${address}:${path}` : `http://${address}${path}`;
}

function pagesByAddress(routes: readonly AdminRoute[]): Map<string, Pages> {
  const byAddress = new Map<string, Map<string, AdminRoute['handler']>>();
  for (const { address, path, handler } of routes) {
    const pages = byAddress.get(address) ?? new Map<string, AdminRoute['handler']>();
    byAddress.set(address, pages.set(path, handler));
  }
  return byAddress;
}
