/** Which domains the Corefile sends to the cluster's own DNS: those in which the Service `kubernetes.default` has a name. */
import { addressBytes, familyOf, formatAddress, parseEndpoint } from '../base/address.ts';
import type { Environment } from './corefile/env.ts';
import type { Block, Corefile, Line } from './corefile/types.ts';
import { serviceIpOf } from './placeholders.ts';

/** Services in front of kube-dns, as they are called where the kubelet tells their addresses. */
const SERVICES = ['nodens-upstream', 'kube-dns-upstream', 'kube-dns', 'coredns'];
const DNS_PORT = 53;

/**
 * Lower-case domains with trailing dot, without doubles: zones that are forwarded to the ClusterIP of `upstreamService` or
 * of another Service in front of kube-dns. The root and reverse zones are none, and a zone below `svc.` only tells of the
 * domain above.
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

/** A `forward` may take less than its block has. */
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
