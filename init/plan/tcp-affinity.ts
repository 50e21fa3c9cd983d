/**
 * Which TCP connections are the agent's. A packet in the middle of a connection does not tell: a listening socket would
 * take (and reset) those of a connection that kube-proxy has led elsewhere. So connections are remembered from their
 * first packet on, in the kernel and for good: interception that comes leaves those of others alone, interception
 * that goes leaves the agent's with the agent, until they end.
 */
import { type Family, familyOf } from '../../agent/base/address.ts';

/** The connections of one family, to `port` of the local IPs `addresses`. */
export interface TcpAffinity {
  readonly family: Family;
  readonly addresses: readonly string[];
  readonly port: number;
  /** One bit of the packet's mark: tells the query rules that the connection which it opens is remembered. */
  readonly mark: number;
}

export interface TcpAffinityOptions {
  readonly localIps: readonly string[];
  readonly port: number;
  readonly mark: number;
}

export function tcpAffinitiesOf({ localIps, port, mark }: TcpAffinityOptions): TcpAffinity[] {
  return ([4, 6] as const).flatMap((family) => {
    const addresses = localIps.filter((address) => familyOf(address) === family);
    return addresses.length === 0 ? [] : [{ family, addresses, port, mark }];
  });
}
