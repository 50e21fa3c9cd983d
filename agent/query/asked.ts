/** The address and port that a query was sent to. */
import { type Endpoint, isWildcard } from '../base/address.ts';
import type { Query } from './query.ts';

/**
 * The agent's address and port that `query` was sent to. Undefined for an internal question if the listener has more
 * than one address.
 */
export function askedEndpoint(query: Query): Endpoint | undefined {
  const { label, address: ofSocket } = query.server;
  const portAt = label.lastIndexOf(':');
  const named = label.slice(label.indexOf('//') + 2, portAt).replace(/^\[|\]$/g, '');
  const isNamed = named !== '' && !isWildcard(named);
  const address = isNamed ? named : (ofSocket ?? query.client.asked);
  return address === undefined ? undefined : { address, port: Number(label.slice(portAt + 1)) };
}
