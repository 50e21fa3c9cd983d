/** Destination NAT to kube-dns's endpoints as rules of the standing table, and what such rules in a kernel say. */
import { type Endpoint, formatEndpoint, parseEndpoint } from '../../../agent/base/address.ts';
import { type Endpoints, TRANSPORTS, tidied } from '../../endpoints/set.ts';
import type { Direct } from '../../plan/fallback.ts';
import type { TableChain, TableRule } from './table.ts';

/** Sees each packet; rules of address translation see the first of a flow. After conntrack (-200). */
const COUNT_PRIORITY = -150;
/** Before kube-proxy's or anybody's translation (-100): the first to decide, decides. */
const DIRECT_PRIORITY = -110;

const HOOKS = ['prerouting', 'output'] as const;

/** Chains for packets of pods and of the host; those without endpoints have no rules. */
export function directChains(direct: readonly Direct[]): TableChain[] {
  return HOOKS.flatMap((hook) => [
    {
      name: `count_${hook}`,
      type: 'filter',
      hook,
      priority: COUNT_PRIORITY,
      rules: direct.flatMap((each) => rulesOf(each, countRule, hook)),
    },
    {
      name: `direct_${hook}`,
      type: 'nat',
      hook,
      priority: DIRECT_PRIORITY,
      rules: direct.flatMap((each) => rulesOf(each, directRule, hook)),
    },
  ]);
}

type Transport = (typeof TRANSPORTS)[number];
type MakeRule = (direct: Direct, transport: Transport, hook: string) => TableRule;

function rulesOf(direct: Direct, make: MakeRule, hook: string): TableRule[] {
  const served = TRANSPORTS.filter((transport) => direct.endpoints[transport].length > 0);
  return served.map((transport) => make(direct, transport, hook));
}

function ipOf({ family }: Direct): 'ip' | 'ip6' {
  return family === 4 ? 'ip' : 'ip6';
}

function matchOf(direct: Direct, transport: Transport): string {
  return `${transport} dport ${direct.port} ${ipOf(direct)} daddr ${direct.from}`;
}

function countRule(direct: Direct, transport: Transport, hook: string): TableRule {
  return {
    id: `fallback-${hook}-${transport}${direct.family}`,
    match: `${matchOf(direct, transport)} ct state != untracked`,
    action: 'continue',
  };
}

function directRule(direct: Direct, transport: Transport, hook: string): TableRule {
  const list = direct.endpoints[transport];
  const choices = list.map(({ address, port }, i) => `${i} : ${address} . ${port}`);
  const random = `numgen random mod ${list.length} map { ${choices.join(', ')} }`;
  return {
    id: `direct-${hook}-${transport}${direct.family}`,
    match: matchOf(direct, transport),
    action: `dnat ${ipOf(direct)} to ${random}`,
  };
}

/** An endpoint that is led to itself would answer itself, past the node that has to undo the translation. */
export function hairpinRule(direct: Direct): TableRule[] {
  const { udp, tcp } = direct.endpoints;
  const addresses = [...new Set([...udp, ...tcp].map(({ address }) => address))];
  if (addresses.length === 0) return [];
  const ip = ipOf(direct);
  const pairs = addresses.map((address) => `${address} . ${address}`);
  return [
    {
      id: `hairpin-${direct.family}`,
      match: `${ip} saddr . ${ip} daddr { ${pairs.join(', ')} } ct original ${ip} daddr ${direct.from}`,
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
