/** Queries that wait for a connection with room for them. */
import type { Carrier, Flight } from '../pending-query.ts';

export class Queue implements Carrier {
  readonly #onLate: (flight: Flight) => void;
  /** They have not been sent. */
  readonly phase = 'connect';
  readonly isProven = false;
  readonly #flights = new Set<Flight>();

  /** `onLate`: a query has waited for longer than most take that are answered. */
  constructor(onLate: (flight: Flight) => void) {
    this.#onLate = onLate;
  }

  get isEmpty(): boolean {
    return this.#flights.size === 0;
  }

  add(flight: Flight, nowMs: number): void {
    flight.sentMs = nowMs;
    flight.carrier = this;
    this.#flights.add(flight);
  }

  /** The one that has waited longest, until it is taken off. */
  get first(): Flight | undefined {
    const [first] = this.#flights;
    return first;
  }

  abandon(flight: Flight): void {
    this.#flights.delete(flight);
  }

  late(flight: Flight): void {
    this.#onLate(flight);
  }

  takeAll(): Flight[] {
    const all = [...this.#flights];
    this.#flights.clear();
    for (const flight of all) flight.carrier = undefined;
    return all;
  }
}
