/** Series labelled by listener, without building labels for each query. */
import type { ServerLabel } from './services/block.ts';

/**
 * A value for each listener: `make` builds it from the label when the listener first appears; later calls find it by
 * index. Indexes are small and dense, so an array is enough.
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
