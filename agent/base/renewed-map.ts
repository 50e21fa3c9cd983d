/**
 * A Map for objects that come and go, such as queries in flight.
 *
 * V8 replaces the table of a Map whenever deleted entries have filled it, and links the old table, with the entries that it
 * had, to the new one. Once one table is in the old generation, a scavenge takes all later ones for alive, with everything
 * that ever waited in them: it copies the dead into the old generation until a full collection. A new Map is not linked.
 */

/** How many additions one Map gets, unless more entries than half as many are in it. */
const ADDITIONS = 64;

/** In order of addition. During an iteration entries may be deleted, but not added. */
export class RenewedMap<K, V> {
  #map = new Map<K, V>();
  #left = ADDITIONS;

  get size(): number {
    return this.#map.size;
  }

  get(key: K): V | undefined {
    return this.#map.get(key);
  }

  has(key: K): boolean {
    return this.#map.has(key);
  }

  set(key: K, value: V): void {
    if (this.#left-- === 0) this.#renew();
    this.#map.set(key, value);
  }

  delete(key: K): void {
    this.#map.delete(key);
  }

  /** Removes and returns all values. */
  takeAll(): V[] {
    const values = [...this.#map.values()];
    this.#map = new Map();
    return values;
  }

  keys(): MapIterator<K> {
    return this.#map.keys();
  }

  [Symbol.iterator](): MapIterator<[K, V]> {
    return this.#map.entries();
  }

  /** Copying half an entry an addition costs less than the scavenges. */
  #renew(): void {
    this.#left = Math.max(ADDITIONS, 2 * this.#map.size);
    this.#map = new Map(this.#map);
  }
}
