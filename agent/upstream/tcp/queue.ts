/** Queries that wait for a connection with room for them. */
import type { Carrier, Flight } from '../flight.ts';

export class Queue implements Carrier {
  /** They have not been sent. */
  readonly phase = 'connect';
  readonly #flights = new Set<Flight>();

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

  late(): void {
    // Nothing has been sent that could be lost.
  }

  takeAll(): Flight[] {
    const all = [...this.#flights];
    this.#flights.clear();
    for (const flight of all) flight.carrier = undefined;
    return all;
  }
}
