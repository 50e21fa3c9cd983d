/**
 * TCP affinity: a connection stays with the server that accepted it, the agent or an endpoint behind kube-proxy. A packet
 * in the middle of a connection does not show whose it is: the agent's listening socket would take it, and reset the
 * connection. So the kernel remembers each connection from its first packet on, whether init intercepts or not. When
 * interception starts, connections through kube-proxy stay there; when it ends, those to the agent stay with the agent.
 */
import { type Family, familyOf } from '../../agent/base/address.ts';

/** The connections of one family, to `port` of `addresses` and `keptAddresses`. */
export interface TcpAffinity {
  readonly family: Family;
  /** Local IPs of the plan. */
  readonly addresses: readonly string[];
  /** Other local IPs, whose connections stay with their agent. */
  readonly keptAddresses: readonly string[];
  readonly port: number;
  /** One bit of the packet's mark. It shows the query rules that the connection which a SYN opens is remembered. */
  readonly mark: number;
}

/** What `tcpAffinitiesOf` needs of the plan. */
export interface TcpAffinityOptions {
  readonly interceptedIps: readonly string[];
  readonly port: number;
  readonly fallbackMark: number;
}

/** There is one set of connections for each family, so kept local IPs share it with the plan's own. */
export function tcpAffinitiesOf(
  { interceptedIps, port, fallbackMark }: TcpAffinityOptions,
  keptIps: readonly string[],
): TcpAffinity[] {
  return ([4, 6] as const).flatMap((family) => {
    const of = (ips: readonly string[]): string[] => ips.filter((ip) => familyOf(ip) === family);
    const [addresses, keptAddresses] = [of(interceptedIps), of(keptIps)];
    if (addresses.length + keptAddresses.length === 0) return [];
    return [{ family, addresses, keptAddresses, port, mark: fallbackMark }];
  });
}
