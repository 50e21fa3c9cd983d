/**
 * The fallback of a local IP that is not the ClusterIP of kube-dns (169.254.20.10). Tracked packets to it continue as
 * packets to the ClusterIP, where kube-proxy's rules find them, or without such rules straight to kube-dns's endpoints.
 * These rules stay until cleanup: query rules come first and take packets out of connection tracking.
 */
import {
  addressBytes,
  type Family,
  familyOf,
  formatAddress,
  isLinkLocal,
} from '../../agent/base/address.ts';
import { INIT_EVENTS } from '../../agent/base/events/table.ts';
import { type Endpoints, isNone, NO_ENDPOINTS, ofFamily } from '../endpoints/set.ts';

/** ClusterIP `to` answers for local IP `from` while init does not intercept. */
export interface Rewrite {
  readonly family: Family;
  readonly from: string;
  readonly to: string;
  readonly port: number;
  /** One bit: of the packet's mark from the rewrite to conntrack, then of conntrack's mark while the flow lives. */
  readonly mark: number;
}

/** kube-dns's endpoints answer for local IP `from` while init does not intercept. */
export interface EndpointDnat {
  readonly family: Family;
  readonly from: string;
  readonly port: number;
  /** Of `family`. */
  readonly endpoints: Endpoints;
}

/** Packets with a local IP as source that leave the node through kube-proxy need a source that replies can reach. */
export interface Masquerade {
  readonly family: Family;
  readonly localIps: readonly string[];
  /** Original destinations of such packets: local IPs, and ClusterIPs that they were rewritten to. */
  readonly destinations: readonly string[];
}

/** The rules of the fallback, as the plan may have them or as they exist now. */
export interface Fallback {
  readonly rewrites: readonly Rewrite[];
  /** Instead of a rewrite for the same local IP, never beside it. In a plan, without endpoints: where one is possible. */
  readonly endpointDnats: readonly EndpointDnat[];
  readonly masquerades: readonly Masquerade[];
}

/** For a kernel that cannot rewrite packets before connection tracking: no rules. */
export const NO_FALLBACK: Fallback = { rewrites: [], endpointDnats: [], masquerades: [] };

/** What of the settings decides where a fallback is possible. */
export interface FallbackOptions {
  readonly localIps: readonly string[];
  /** ClusterIPs of kube-dns, at most one of a family. */
  readonly clusterIps: readonly string[];
  readonly port: number;
  /** A single bit, see `Rewrite`. */
  readonly mark: number;
}

/**
 * One local IP of a family can have a fallback, the first that is not the ClusterIP: on the way back one bit could not
 * distinguish two flows behind the same ClusterIP.
 */
export function possibleFallback({ localIps, clusterIps, port, mark }: FallbackOptions): Fallback {
  const families = ([4, 6] as const).map((family) => {
    const of = (list: readonly string[]): string[] => list.filter((ip) => familyOf(ip) === family);
    const [to] = of(clusterIps);
    // Where no ClusterIP is known, a local IP that is not link-local may be one itself.
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

/** What init has found out about the ways to kube-dns. */
export interface FallbackState {
  /** ClusterIPs that kube-proxy's rules know. */
  readonly servedIps: readonly string[];
  readonly endpoints: Endpoints;
}

/** What of `possible` reaches a server now: a rewrite to a ClusterIP that is served, else known endpoints. */
export function fallbackNow(possible: Fallback, { servedIps, endpoints }: FallbackState): Fallback {
  return {
    rewrites: possible.rewrites.filter(({ to }) => servedIps.includes(to)),
    endpointDnats: unserved(possible, servedIps)
      .map((dnat) => ({ ...dnat, endpoints: ofFamily(endpoints, dnat.family) }))
      .filter((dnat) => !isNone(dnat.endpoints)),
    masquerades: possible.masquerades,
  };
}

/** Where only endpoints can be the fallback: no rewrite to a served ClusterIP. */
export function unserved(
  { rewrites, endpointDnats }: Fallback,
  servedIps: readonly string[],
): EndpointDnat[] {
  const rewritten = rewrites.filter(({ to }) => servedIps.includes(to)).map(({ from }) => from);
  return endpointDnats.filter(({ from }) => !rewritten.includes(from));
}

/** Where init may learn the ClusterIP of kube-dns from. */
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
  const fromKubelet =
    serviceHost === undefined || familyOf(serviceHost) === undefined ? [] : [serviceHost];
  return ([4, 6] as const).flatMap((family) => {
    const of = (list: readonly string[]): string[] => list.filter((ip) => familyOf(ip) === family);
    const routable = of(localIps).filter((ip) => !isLinkLocal(ip));
    const guessed = routable.length === 1 ? routable : [];
    return (of(asked)[0] ?? of(fromKubelet)[0] ?? guessed[0]) || [];
  });
}

/**
 * What is wrong with the ClusterIPs that init assumes; undefined where nothing is, or where it is not known. Only one
 * family can be checked: the variable has one address, even where the Service has two. An address of `--clusterdns`
 * counts, else a routable local IP beside one that is not routable.
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
  const assumed = of(asked).length > 0 ? of(asked) : guessed;
  if (assumed.length === 0 || assumed.includes(service)) return undefined;
  return `${assumed.join(', ')} is to be the VIP of kube-dns, but the Service kube-dns has ${service}`;
}

/** What to do about a `clusterIpFault`: the text that the log and the doctor share. */
export const CLUSTER_IP_REMEDY = INIT_EVENTS['cluster-ip'].remedy;
