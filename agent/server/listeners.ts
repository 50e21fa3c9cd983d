/** Every listener of the agent: UDP and TCP together, one label each, kept over reloads. */
import { type Endpoint, formatEndpoint, isWildcard } from '../base/address.ts';
import type { MemoryLedger } from '../base/clients/memory-ledger.ts';
import { NetworkError } from '../base/errors.ts';
import type { ServerLabel } from '../query/services/block.ts';
import { DEDUPLICATE_BY } from '../query/services/log.ts';
import type { TcpTimeouts } from '../query/services/process.ts';
import { AnswerDurations } from './answer-durations.ts';
import { type Bound, type BoundParts, bindPlace } from './listen/bound.ts';
import { EachAddress } from './listen/each-address.ts';
import { type Place, placesOf } from './listen/places.ts';
import { TcpClients } from './tcp/clients.ts';
import type { DatagramSource } from './tcp/scheduler.ts';

/** Fixed for the life of the process; only timeouts and the listeners themselves change with the configuration. */
export interface ListenersOptions extends Omit<BoundParts, 'durations' | 'tcpClients' | 'label'> {
  readonly ledger: MemoryLedger;
  /** Maximum TCP connections. */
  readonly maxTcpConnections?: number;
  readonly maxTcpWaiting?: number;
  /** Whether `openUdp` can serve every address with one socket: it must answer from the address that was asked. */
  readonly isUdpWildcard: boolean;
  /** UDP sockets to upstreams, whose replies are handled between events of TCP clients as well. */
  readonly connected?: DatagramSource | undefined;
  /** Reads the node's current addresses. */
  readonly addresses: () => readonly string[];
  /** Endpoints to which init redirects the pods' packets. */
  readonly intercepted: readonly Endpoint[];
}

const ADDON_REMEDY =
  'see the line that says why the addon is not used, and NODENS_UDP; or name addresses with bind';

interface Open {
  readonly listener: Endpoint;
  readonly bound: Bound;
}

/** Binds nothing until `open`. A socket that the old and the new configuration both need stays open over a reload. */
export class Listeners {
  readonly #options: ListenersOptions;
  readonly #parts: BoundParts;
  readonly #labels = new Map<string, ServerLabel>();
  readonly #open = new Map<string, Open>();
  /** Endpoints that have their own sockets, or are about to. */
  #specific: ReadonlySet<string> = new Set();
  /** By listener index; also for listeners opened later. */
  #timeouts: readonly (TcpTimeouts | undefined)[] = [];

  constructor(options: ListenersOptions) {
    this.#options = options;
    const { metrics, ledger, maxTcpConnections, maxTcpWaiting, connected } = options;
    const tcpClients = new TcpClients(ledger, maxTcpConnections, maxTcpWaiting);
    // Before those of clients: they send the answers that these bring.
    if (connected !== undefined) tcpClients.scheduler.remember(connected);
    this.#parts = {
      ...options,
      durations: new AnswerDurations(metrics),
      tcpClients,
      label: (listener) => this.label(listener),
    };
  }

  /** The label of a listener; always the same object, so that its series continue over reloads. */
  label(listener: Endpoint): ServerLabel {
    const label = `dns://${formatEndpoint(listener)}`;
    const known = this.#labels.get(label);
    if (known !== undefined) return known;
    const made = { index: this.#labels.size, label };
    this.#labels.set(label, made);
    return made;
  }

  /** Endpoints as the Corefile names them; the address is '' if it names none. */
  get endpoints(): Endpoint[] {
    const listeners = [...this.#open.values()].map(({ listener }) => listener);
    return [...new Map(listeners.map((listener) => [formatEndpoint(listener), listener])).values()];
  }

  /** Queries in progress on all listeners; while draining also TCP clients that still have answers to come. */
  get pending(): number {
    let sum = 0;
    for (const { bound } of this.#open.values()) sum += bound.pending();
    return sum;
  }

  /**
   * Binds what `listeners` need and is not bound yet. On failure, releases what this call has bound and rejects with
   * NetworkError (phase `bind`): all or nothing.
   */
  async open(listeners: readonly Endpoint[]): Promise<void> {
    const places = placesOf(listeners, this.#options.intercepted);
    const before = this.#specific;
    this.#specific = new Set([...before, ...specificOf(places)]);
    const opened: string[] = [];
    try {
      for (const place of places) {
        const key = keyOf(place);
        if (this.#open.has(key)) continue;
        const bound = await this.#bind(place);
        if (bound === undefined) continue;
        bound.setTcpTimeouts(this.#timeoutsOf(place.listener));
        this.#open.set(key, { listener: place.listener, bound });
        opened.push(key);
      }
    } catch (error) {
      this.#specific = before;
      await Promise.all(opened.map((key) => this.#close(key)));
      throw error;
    }
  }

  /** Closes the sockets that `listeners` do not need. */
  async retain(listeners: readonly Endpoint[]): Promise<void> {
    const places = placesOf(listeners, this.#options.intercepted);
    this.#specific = new Set(specificOf(places));
    const keep = new Set(places.map(keyOf));
    const gone = Array.from(this.#open.keys()).filter((key) => !keep.has(key));
    await Promise.all(gone.map((key) => this.#close(key)));
  }

  /** Sets the TCP timeouts of every listener, current and later; the default if `byServer`, by index, has none. */
  setTcpTimeouts(byServer: readonly (TcpTimeouts | undefined)[]): void {
    this.#timeouts = byServer;
    for (const { listener, bound } of this.#open.values())
      bound.setTcpTimeouts(this.#timeoutsOf(listener));
  }

  #timeoutsOf(listener: Endpoint): TcpTimeouts {
    return this.#timeouts[this.label(listener).index] ?? {};
  }

  /** TCP clients get their outstanding answers and are then asked to leave; UDP continues until `close`. */
  drain(): void {
    for (const { bound } of this.#open.values()) bound.drain();
  }

  /** Closes every socket; pending answers over TCP are lost. */
  async close(): Promise<void> {
    await this.retain([]);
  }

  async #close(key: string): Promise<void> {
    const open = this.#open.get(key);
    this.#open.delete(key);
    await open?.bound.close();
  }

  /** Undefined if the node has no addresses of that family. */
  async #bind(place: Place): Promise<Bound | undefined> {
    const { log, isUdpWildcard } = this.#options;
    const { at } = place;
    if (!isWildcard(at.address)) return bindPlace(place, this.#parts);
    const listener = formatEndpoint(place.listener);
    if (!isUdpWildcard) return this.#bindEach(place, 'the addon is not used', ADDON_REMEDY);
    try {
      return await bindPlace(place, this.#parts);
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error;
      const { errno, message } = error;
      if (at.address === '::' && ['EAFNOSUPPORT', 'EADDRNOTAVAIL'].includes(errno)) {
        log.info({ listener, errno }, 'this node has no IPv6: serving over IPv4');
        return undefined;
      }
      // Another server has the port on one address: that prevents a wildcard socket, but no other one.
      if (errno !== 'EADDRINUSE') throw error;
      return this.#bindEach(place, message, portRemedy(at.port));
    }
  }

  async #bindEach(place: Place, reason: string, remedy: string): Promise<Bound> {
    const { log, clock, addresses } = this.#options;
    const each = await EachAddress.open({
      ...{ place, addresses, clock, log },
      bind: (one) => bindPlace(one, this.#parts),
      isTaken: (endpoint) => this.#specific.has(formatEndpoint(endpoint)),
    });
    const text =
      `cannot open one socket for all addresses (${reason}): opening one for each address of the node; ` +
      'an address that is local only by a route gets none';
    const listener = formatEndpoint(place.listener);
    const fields = { event: 'each-address', listener, remedy } as const;
    log.warn({ ...fields, [DEDUPLICATE_BY]: `${fields.event} ${listener}` }, text);
    return each;
  }
}

function portRemedy(port: number): string {
  return (
    `another process has this port: ss -lntup 'sport = :${port}' on the node names it; ` +
    'move it to another port or address, or name the addresses of nodens with `bind`'
  );
}

function keyOf({ at, listener }: Place): string {
  return `${formatEndpoint(at)} ${formatEndpoint(listener)}`;
}

function specificOf(places: readonly Place[]): string[] {
  return places.filter(({ at }) => !isWildcard(at.address)).map(({ at }) => formatEndpoint(at));
}
