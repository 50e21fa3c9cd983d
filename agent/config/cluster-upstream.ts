/**
 * Which domains the Corefile forwards to the cluster's own DNS: the Service `kubernetes.default` has a name in each.
 */
import { addressBytes, familyOf, formatAddress, parseEndpoint } from '../base/address.ts';
import type { Environment } from './corefile/env.ts';
import type { Block, Corefile, Line } from './corefile/types.ts';
import { serviceIpOf } from './placeholders.ts';

/** Usual names of Services in front of kube-dns; the kubelet passes their addresses in environment variables. */
const SERVICES = ['nodens-upstream', 'kube-dns-upstream', 'kube-dns', 'coredns'];
const DNS_PORT = 53;

/**
 * Lower-case domains with trailing dot, without duplicates: zones that are forwarded to the ClusterIP of
 * `upstreamService` or of another Service in front of kube-dns. The root and reverse zones are excluded; a zone `svc.X`
 * or below counts as X.
 */
export function clusterDomainsOf(
  corefile: Corefile,
  env: Environment,
  upstreamService: string,
): string[] {
  const ips = [upstreamService, ...SERVICES].map((service) => serviceIpOf(service, env));
  const servers = new Set(ips.map((ip) => addressOf(ip ?? '')));
  servers.delete(undefined);
  const zones = corefile.blocks.flatMap((block) =>
    forwardsOf(block)
      .filter(({ args }) => args.slice(1).some(({ text }) => servers.has(addressOf(text))))
      .flatMap((use) => zonesOf(block, use)),
  );
  const domains = [...new Set(zones.flatMap((zone) => domainOf(zone) ?? []))];
  return domains.filter((domain) => !domains.some((other) => domain.endsWith(`.${other}`)));
}

function forwardsOf(block: Block): readonly Line[] {
  return block.directives.filter(({ name }) => name === 'forward').flatMap(({ uses }) => uses);
}

/** A `forward` may serve only part of its block's zones. */
function zonesOf({ keys }: Block, { args }: Line): string[] {
  const from = `${(args[0]?.text ?? '.').toLowerCase().replace(/\.$/, '')}.`;
  return from === '.' ? keys.map(({ zone }) => zone) : [from];
}

function addressOf(target: string): string | undefined {
  const address = parseEndpoint(target, DNS_PORT)?.address;
  return address && familyOf(address) && formatAddress(addressBytes(address));
}

function domainOf(zone: string): string | undefined {
  if (zone === '.' || /(^|\.)(in-addr|ip6)\.arpa\.$/.test(zone) || zone.includes('/'))
    return undefined;
  const [above, domain] = zone.split(/(?<=^|\.)svc\./);
  if (domain === undefined) return zone.startsWith('pod.') ? undefined : zone;
  return above === '' ? domain : undefined;
}
