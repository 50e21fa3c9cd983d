/** Selects the connection for a query. */
import type { PendingQuery } from '../pending-query.ts';
import type { Appetite } from './appetite.ts';
import type { TcpConnection } from './connection.ts';

/**
 * Open before opening, young before spent, then the one that this turn's queries are written to: one write, and often one
 * read, serves them all. Then the less busy one.
 */
export function isBetter(one: TcpConnection, other: TcpConnection, nowMs: number): boolean {
  if (one.isOpen !== other.isOpen) return one.isOpen;
  const isSpent = one.isSpent(nowMs);
  if (isSpent !== other.isSpent(nowMs)) return !isSpent;
  const { isFilling } = one;
  if (isFilling !== other.isFilling) return isFilling;
  return one.load < other.load;
}

/** The least busy connection that accepts more queries. */
export function leastBusy(
  connections: readonly TcpConnection[],
  { inAll }: Appetite,
): TcpConnection | undefined {
  let best: TcpConnection | undefined;
  for (const each of connections) {
    if (each.isOpen && each.carried < inAll && each.load < (best?.load ?? Infinity)) best = each;
  }
  return best;
}

/** A connection that can take `pending` and has not been silent for `quietMs`. */
export function withRoom(
  connections: readonly TcpConnection[],
  { avoid }: PendingQuery,
  { inAll, atOnce }: Appetite,
  quietMs: number,
  nowMs: number,
): TcpConnection | undefined {
  const hasRoom = (each: TcpConnection): boolean =>
    each !== avoid && each.load < atOnce && each.carried < inAll && each.silentMs(nowMs) < quietMs;
  return connections.find((each) => each.isOpen && hasRoom(each)) ?? connections.find(hasRoom);
}
