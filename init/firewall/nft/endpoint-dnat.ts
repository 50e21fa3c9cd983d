/** Destination NAT to kube-dns's endpoints as rules of the fallback's table, and the endpoints in such rules. */
import { type Endpoint, formatEndpoint, parseEndpoint } from '../../../agent/base/address.ts';
import { type Endpoints, TRANSPORTS, tidied } from '../../endpoints/set.ts';
import type { EndpointDnat } from '../../plan/fallback.ts';
import type { TableChain, TableRule } from './table.ts';

/** Sees each packet; NAT rules see only the first of a flow. After conntrack (-200). */
const COUNT_PRIORITY = -150;
/** Before the DNAT of kube-proxy and others (-100): the first match decides. */
const DNAT_PRIORITY = -110;

const HOOKS = ['prerouting', 'output'] as const;

/** Chains for packets of pods and of the host; those without endpoints have no rules. */
export function endpointDnatChains(endpointDnats: readonly EndpointDnat[]): TableChain[] {
  return HOOKS.flatMap((hook) => [
    {
      name: `count_${hook}`,
      type: 'filter',
      hook,
      priority: COUNT_PRIORITY,
      rules: endpointDnats.flatMap((each) => rulesOf(each, countRule, hook)),
    },
    {
      name: `endpoint_${hook}`,
      type: 'nat',
      hook,
      priority: DNAT_PRIORITY,
      rules: endpointDnats.flatMap((each) => rulesOf(each, dnatRule, hook)),
    },
  ]);
}

type Transport = (typeof TRANSPORTS)[number];
type MakeRule = (dnat: EndpointDnat, transport: Transport, hook: string) => TableRule;

function rulesOf(dnat: EndpointDnat, make: MakeRule, hook: string): TableRule[] {
  const served = TRANSPORTS.filter((transport) => dnat.endpoints[transport].length > 0);
  return served.map((transport) => make(dnat, transport, hook));
}

function ipOf({ family }: EndpointDnat): 'ip' | 'ip6' {
  return family === 4 ? 'ip' : 'ip6';
}

function matchOf(dnat: EndpointDnat, transport: Transport): string {
  return `${transport} dport ${dnat.port} ${ipOf(dnat)} daddr ${dnat.from}`;
}

function countRule(dnat: EndpointDnat, transport: Transport, hook: string): TableRule {
  return {
    id: `fallback-${hook}-${transport}${dnat.family}`,
    match: `${matchOf(dnat, transport)} ct state != untracked`,
    action: 'continue',
  };
}

function dnatRule(dnat: EndpointDnat, transport: Transport, hook: string): TableRule {
  const list = dnat.endpoints[transport];
  const choices = list.map(({ address, port }, i) => `${i} : ${address} . ${port}`);
  const random = `numgen random mod ${list.length} map { ${choices.join(', ')} }`;
  return {
    id: `endpoint-${hook}-${transport}${dnat.family}`,
    match: matchOf(dnat, transport),
    action: `dnat ${ipOf(dnat)} to ${random}`,
  };
}

/** Without it an endpoint that is sent to itself would answer itself, and the node could not undo the DNAT. */
export function hairpinRule(dnat: EndpointDnat): TableRule[] {
  const { udp, tcp } = dnat.endpoints;
  const addresses = [...new Set([...udp, ...tcp].map(({ address }) => address))];
  if (addresses.length === 0) return [];
  const ip = ipOf(dnat);
  const pairs = addresses.map((address) => `${address} . ${address}`);
  return [
    {
      id: `hairpin-${dnat.family}`,
      match: `${ip} saddr . ${ip} daddr { ${pairs.join(', ')} } ct original ${ip} daddr ${dnat.from}`,
      action: 'masquerade',
    },
  ];
}

/** The endpoints in a table's text as nft prints it. */
export function endpointsIn(text: string): Endpoints {
  const found: Record<Transport, Endpoint[]> = { udp: [], tcp: [] };
  const rules = text.matchAll(/\b(udp|tcp) dport [^{}]* numgen [^{}]*map \{([^}]*)\}/g);
  for (const [, transport, choices = ''] of rules)
    found[transport as Transport].push(
      ...choices.split(',').flatMap((choice) => endpointIn(choice) ?? []),
    );
  return tidied(found);
}

/** Of `0 : 10.2.0.2 . 53`. */
function endpointIn(choice: string): Endpoint | undefined {
  const [, address = '', port = 0] = /^\s*\d+ : (\S+) \. (\d+)\s*$/.exec(choice) ?? [];
  return parseEndpoint(formatEndpoint({ address, port: Number(port) }), 0);
}
