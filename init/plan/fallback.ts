/**
 * The way behind a local IP that is not the kube-dns ClusterIP (169.254.20.10): tracked packets to it go on as packets
 * to the ClusterIP, where kube-proxy's rules find them; where there are none, straight to kube-dns's endpoints. It
 * stands for good; interception, which untracks, goes before.
 */
import { addressBytes, type Family, familyOf, formatAddress } from '../../agent/base/address.ts';
import { INIT_EVENTS } from '../../agent/base/events/table.ts';
import { type Endpoints, NO_ENDPOINTS } from '../endpoints/set.ts';

/** Local IP `from` is answered by ClusterIP `to` while nobody intercepts. */
export interface Rewrite {
  readonly family: Family;
  readonly from: string;
  readonly to: string;
  readonly port: number;
  /** One bit: of the packet's mark from the rewriting to conntrack, of conntrack's mark as long as the flow lives. */
  readonly mark: number;
}

/** Local IP `from` is answered by kube-dns's endpoints while nobody intercepts; without endpoints by nobody. */
export interface EndpointDnat {
  readonly family: Family;
  readonly from: string;
  readonly port: number;
  /** Of `family`. */
  readonly endpoints: Endpoints;
}

/** Packets with a local IP as source that kube-proxy's path sends off the node need a source that answers find. */
export interface Masquerade {
  readonly family: Family;
  readonly localIps: readonly string[];
  /** What such packets were for: local IPs, and ClusterIPs they were rewritten to. */
  readonly destinations: readonly string[];
}

export interface Fallback {
  readonly rewrites: readonly Rewrite[];
  /** Instead of a rewriting for the same local IP, never beside it. In a plan: where it may come to that. */
  readonly endpointDnats: readonly EndpointDnat[];
  readonly masquerades: readonly Masquerade[];
}

export const NO_FALLBACK: Fallback = { rewrites: [], endpointDnats: [], masquerades: [] };

export interface FallbackOptions {
  readonly localIps: readonly string[];
  /** ClusterIPs of kube-dns, at most one of a family. */
  readonly clusterIps: readonly string[];
  readonly port: number;
  readonly mark: number;
}

/**
 * One local IP of a family can have a fallback, the first that is not the ClusterIP: two flows behind the same ClusterIP
 * could not be told apart on the way back by one bit.
 */
export function fallbackOf({ localIps, clusterIps, port, mark }: FallbackOptions): Fallback {
  const families = ([4, 6] as const).map((family) => {
    const of = (list: readonly string[]): string[] => list.filter((ip) => familyOf(ip) === family);
    const [to] = of(clusterIps);
    // Without a ClusterIP to tell it from, a local IP that is not link-local may be one itself.
    const from = of(localIps).find((ip) => (to === undefined ? isLinkLocal(ip) : ip !== to));
    const endpointDnats =
      from === undefined ? [] : [{ family, from, port, endpoints: NO_ENDPOINTS }];
    const rewrites =
      from === undefined || to === undefined ? [] : [{ family, from, to, port, mark }];
    const destinations = [...new Set([...of(localIps), ...rewrites.map((rewrite) => rewrite.to)])];
    const masquerades =
      destinations.length === 0 ? [] : [{ family, localIps: of(localIps), destinations }];
    return { rewrites, endpointDnats, masquerades: of(localIps).length === 0 ? [] : masquerades };
  });
  return {
    rewrites: families.flatMap(({ rewrites }) => rewrites),
    endpointDnats: families.flatMap(({ endpointDnats }) => endpointDnats),
    masquerades: families.flatMap(({ masquerades }) => masquerades),
  };
}

export interface ClusterIpSources {
  readonly localIps: readonly string[];
  /** `--clusterdns`. */
  readonly asked: readonly string[];
  /** KUBE_DNS_SERVICE_HOST, which the kubelet sets in the namespace of kube-dns. */
  readonly serviceHost: string | undefined;
}

/**
 * ClusterIP of kube-dns for each family where it is known: what was asked for; else the Service's variable; else the
 * one local IP that is not link-local, which can only be the VIP.
 */
export function clusterIpsOf({ localIps, asked, serviceHost }: ClusterIpSources): string[] {
  const told =
    serviceHost === undefined || familyOf(serviceHost) === undefined ? [] : [serviceHost];
  return ([4, 6] as const).flatMap((family) => {
    const of = (list: readonly string[]): string[] => list.filter((ip) => familyOf(ip) === family);
    const routable = of(localIps).filter((ip) => !isLinkLocal(ip));
    const guessed = routable.length === 1 ? routable : [];
    return (of(asked)[0] ?? of(told)[0] ?? guessed[0]) || [];
  });
}

/**
 * What is wrong, undefined where nothing is or where it is not known. Only one family can be judged: the variable has one
 * address, also where the Service has two. An address that was asked for by name counts, else a local IP that is routable
 * and stands beside one that is not.
 */
export function clusterIpFault({
  localIps,
  asked,
  serviceHost = '',
}: ClusterIpSources): string | undefined {
  const family = familyOf(serviceHost);
  if (family === undefined) return undefined;
  const service = formatAddress(addressBytes(serviceHost));
  const of = (list: readonly string[]): string[] => list.filter((ip) => familyOf(ip) === family);
  const vips = of(localIps).filter((ip) => !isLinkLocal(ip));
  const guessed = vips.length < of(localIps).length ? vips : [];
  const told = of(asked).length > 0 ? of(asked) : guessed;
  if (told.length === 0 || told.includes(service)) return undefined;
  return `${told.join(', ')} is to be the VIP of kube-dns, but the Service kube-dns has ${service}`;
}

export const CLUSTER_IP_REMEDY = INIT_EVENTS['cluster-ip'].remedy;

function isLinkLocal(address: string): boolean {
  return /^(169\.254\.|fe[89ab])/.test(address);
}
