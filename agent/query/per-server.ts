/** Series labelled by listener, without label work per query. */
import type { ServerLabel } from './services/block.ts';

/**
 * A value for each listener, made by `make` from its label when that listener is first seen and found by index ever
 * after. Indexes are small and dense, so an array holds them.
 */
export function perServer<T>(make: (label: string) => T): (server: ServerLabel) => T {
  const made: T[] = [];
  return (server) => {
    const known = made[server.index];
    if (known !== undefined) return known;
    const value = make(server.label);
    made[server.index] = value;
    return value;
  };
}
