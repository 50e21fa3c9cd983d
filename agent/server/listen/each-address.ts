/**
 * Replaces a wildcard socket where one is impossible: a socket on each current address of the node. The addresses are
 * polled. An address that is local by route only is on no interface, and is not served.
 */
import { type Endpoint, familyOf, formatEndpoint, isWildcard } from '../../base/address.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import { messageOf, NetworkError } from '../../base/errors.ts';
import type { Logger } from '../../query/services/log.ts';
import type { TcpTimeouts } from '../../query/services/process.ts';
import type { Bound } from './bound.ts';
import type { Place } from './places.ts';

/** Poll interval: a listing costs a millisecond on a node with hundreds of interfaces. */
export const LOOK_MS = 2_000;

/** `addresses` is read again at every poll; `bind` opens the sockets of one address. */
export interface EachAddressParts {
  /** The place of a wildcard. */
  readonly place: Place;
  readonly bind: (place: Place) => Promise<Bound>;
  /** The node's current addresses, of both families. */
  readonly addresses: () => readonly string[];
  /** Whether another listener or place has its own socket for an endpoint. */
  readonly isTaken: (endpoint: Endpoint) => boolean;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * An added address is bound, and a removed one closed, within two seconds. A failed bind is logged once and retried.
 */
export class EachAddress implements Bound {
  readonly #parts: EachAddressParts;
  readonly #bound = new Map<string, Bound>();
  /** Addresses that could not be bound: each is logged once. */
  readonly #failed = new Set<string>();
  #timeouts: TcpTimeouts = {};
  #timer: Timer | undefined;
  /** A poll in progress, which `close` awaits. */
  #look: Promise<void> = Promise.resolve();
  #isEnding = false;

  private constructor(parts: EachAddressParts) {
    this.#parts = parts;
  }

  /**
   * Binds every current address. If one cannot be bound, rejects with NetworkError (phase `bind`) and leaves no socket
   * open; an address that has just disappeared is skipped.
   */
  static async open(parts: EachAddressParts): Promise<EachAddress> {
    const each = new EachAddress(parts);
    try {
      for (const endpoint of each.#wanted()) await each.#bind(endpoint);
    } catch (error) {
      await each.close();
      throw error;
    }
    each.#timer = parts.clock.every(LOOK_MS, () => {
      each.#look = each.#look.then(() => each.#lookAgain());
    });
    return each;
  }

  pending(): number {
    let sum = 0;
    for (const bound of this.#bound.values()) sum += bound.pending();
    return sum;
  }

  setTcpTimeouts(timeouts: TcpTimeouts): void {
    this.#timeouts = timeouts;
    for (const bound of this.#bound.values()) bound.setTcpTimeouts(timeouts);
  }

  drain(): void {
    this.#isEnding = true;
    for (const bound of this.#bound.values()) bound.drain();
  }

  async close(): Promise<void> {
    this.#isEnding = true;
    this.#timer?.cancel();
    await this.#look;
    await Promise.all([...this.#bound.values()].map((bound) => bound.close()));
    this.#bound.clear();
  }

  #wanted(): Endpoint[] {
    const { place, addresses, isTaken } = this.#parts;
    const { address, port } = place.at;
    const family = familyOf(address);
    return addresses()
      .filter((one) => familyOf(one) === family && !isWildcard(one))
      .map((one) => ({ address: one, port }))
      .filter((endpoint) => !isTaken(endpoint));
  }

  async #bind(endpoint: Endpoint): Promise<void> {
    const { bind, place } = this.#parts;
    try {
      const bound = await bind({ at: endpoint, listener: place.listener });
      bound.setTcpTimeouts(this.#timeouts);
      this.#bound.set(formatEndpoint(endpoint), bound);
    } catch (error) {
      // Removed since the listing, or a v6 address whose duplicate detection is not finished.
      if (!(error instanceof NetworkError) || error.errno !== 'EADDRNOTAVAIL') throw error;
    }
  }

  /** Never rejects. */
  async #lookAgain(): Promise<void> {
    if (this.#isEnding) return;
    const wanted = new Map(this.#wanted().map((endpoint) => [formatEndpoint(endpoint), endpoint]));
    for (const [key, bound] of this.#bound) {
      if (wanted.has(key)) continue;
      this.#bound.delete(key);
      await bound.close();
    }
    for (const key of this.#failed) if (!wanted.has(key)) this.#failed.delete(key);
    for (const [key, endpoint] of wanted) {
      if (this.#isEnding || this.#bound.has(key)) continue;
      await this.#bind(endpoint).catch((error: unknown) => this.#say(key, error));
    }
  }

  #say(key: string, error: unknown): void {
    if (this.#failed.has(key)) return;
    this.#failed.add(key);
    this.#parts.log.warn(
      { event: 'address-not-served', address: key },
      `cannot listen on ${key}, will retry: ${messageOf(error)}`,
    );
  }
}
