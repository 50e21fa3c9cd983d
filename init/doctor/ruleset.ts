/** What rulesets in their programs' own words say: whose rules, which chains drop, who else touches DNS. */
import { type Family, familyOf } from '../../agent/base/address.ts';
import type { Rules } from './facts.ts';

/** One chain of the ruleset, whichever program showed it. */
export interface Chain {
  /** `inet filter input`, `ip6 filter INPUT` of iptables-nft, or `legacy filter INPUT`. */
  readonly name: string;
  /** `inet filter`, `ip raw` or `legacy ip6 filter`: the name without the chain. */
  readonly table: string;
  /** In lower case; undefined for a chain that only rules jump to. */
  readonly hook: string | undefined;
  /** `accept` or `drop`; undefined or `-` for a chain that only rules jump to. */
  readonly policy: string | undefined;
  /** Its rules in order, trimmed. nft's also have the line of the hook, and the closing brace. */
  readonly lines: readonly string[];
}

const TAG = /nodens:([a-z0-9-]+?):[0-9a-f]{8}/g;
const NODE_LOCAL_DNS = /NodeLocal DNS Cache/;

/** Ids of our rules, such as `query-pod-udp4`. */
export function ownRuleIds(text: string): Set<string> {
  return new Set([...text.matchAll(TAG)].map((match) => match[1] as string));
}

/** Families of which there is a rule of ours whose id begins with `prefix`. */
export function familiesOf(ids: Iterable<string>, ...prefixes: readonly string[]): Family[] {
  const ofThese = [...ids].filter((id) => prefixes.some((prefix) => id.startsWith(prefix)));
  return ([4, 6] as const).filter((family) => ofThese.some((id) => id.endsWith(`${family}`)));
}

/** Whether rules of ours lead queries of pods to the agent now. */
export function leadsToAgent(rules: Rules, family: Family): boolean {
  return familiesOf(ownRuleIds(ownText(rules)), 'query-pod').includes(family);
}

/** Text of all rules that are ours. */
export function ownText(rules: Rules): string {
  const own = chainsOf(rules).flatMap((chain) =>
    isOwn(chain) ? chain.lines : chain.lines.filter((line) => line.includes('nodens:')),
  );
  return own.join('\n');
}

/** Addresses of which our rules say that they are others', as long as an agent answers there. */
export function leftIpsIn(rules: Rules): string[] {
  const lines = ownText(rules)
    .split('\n')
    .filter((line) => /nodens:left-/.test(line));
  const words = lines.join(' ').split(/[\s{},/]+/);
  return [...new Set(words.filter((word) => familyOf(word) !== undefined))];
}

/** Lines with a rule of a node-local-dns, which has the comment "NodeLocal DNS Cache" in it. */
export function nodeLocalDnsLines(rules: Rules): string[] {
  const { nft, iptables, legacy } = rules;
  return [nft, iptables, legacy]
    .join('\n')
    .split('\n')
    .filter((line) => NODE_LOCAL_DNS.test(line));
}

/** Which programs hold rules of ours. */
export function backendsOf(rules: Rules): string[] {
  const isTagged = (chain: Chain): boolean => chain.lines.some((line) => line.includes('nodens:'));
  const nft = chainsIn(rules.nft).filter(isTagged);
  const iptables = savedChains(rules.iptables, '').filter(isTagged);
  return [
    ...(nft.some(isOwn) ? ['nft'] : []),
    ...([...iptables, ...nft].some(({ table }) => /^ip6? (raw|filter|mangle|nat)$/.test(table))
      ? ['iptables-nft']
      : []),
    ...(savedChains(rules.legacy, 'legacy').some(isTagged) ? ['iptables-legacy'] : []),
  ];
}

/** Input and output chains whose policy drops and that let DNS pass by no rule. */
export function droppingChains(rules: Rules): string[] {
  return chainsOf(rules)
    .filter(({ hook, policy }) => /^(input|output)$/.test(hook ?? '') && policy === 'drop')
    .filter(({ lines }) => !lines.some(letsDnsPass))
    .map(({ name }) => name);
}

/** Also one of several, as nft and as iptables' multiport have them. */
const DNS_PORT = /dport (53\b|\{[^}]*\b53\b)|--dports \S*\b53\b/;

function letsDnsPass(line: string): boolean {
  if (line.includes('nodens:accept-dns')) return true;
  return DNS_PORT.test(line) && /\baccept\b|-j ACCEPT/.test(line);
}

/** Rules of others that drop, redirect or rewrite DNS packets, `chain: rule`. kube-proxy's do and should. */
export function foreignDnsRules(rules: Rules): string[] {
  return chainsOf(rules)
    .filter((chain) => !isOwn(chain) && !isKubeProxy(chain))
    .flatMap(({ name, lines }) =>
      lines
        .filter((line) => DNS_PORT.test(line))
        .filter((line) => /\b(drop|reject|dnat|redirect)\b/i.test(line))
        .filter((line) => !line.includes('nodens:') && !NODE_LOCAL_DNS.test(line))
        .map((line) => `${name}: ${line}`),
    );
}

/** Modes of kube-proxy that leave rules in netfilter; IPVS shows by its link, see `kubeProxy`. */
export type ProxyMode = 'iptables' | 'nftables';

/** Which rules of kube-proxy there are. */
export function proxyModes(rules: Rules): ProxyMode[] {
  const chains = chainsOf(rules);
  return [
    ...(chains.some((chain) => / KUBE-SERVICES$/.test(chain.name)) ? (['iptables'] as const) : []),
    ...(chains.some((chain) => / kube-proxy$/.test(chain.table)) ? (['nftables'] as const) : []),
  ];
}

function isOwn({ table }: Chain): boolean {
  return table.startsWith('inet nodens_');
}

function isKubeProxy({ table, name }: Chain): boolean {
  return / kube-proxy$/.test(table) || / KUBE-\S+$/.test(name);
}

/** Chains that iptables-nft shows have the names that nft gives them. */
export function chainsOf(rules: Rules): Chain[] {
  return [
    ...chainsIn(rules.nft),
    ...savedChains(rules.iptables, ''),
    ...savedChains(rules.legacy, 'legacy'),
  ];
}

/** Chains of `nft list table`: a header line, lines of one rule each, and a line with the closing brace. */
function chainsIn(text: string): Chain[] {
  const chains: Chain[] = [];
  let table = '';
  for (const block of text.split(/^(?=table |\tchain |\t(?:map|set) )/m)) {
    const header = /^table (\S+ \S+) /.exec(block)?.[1];
    if (header !== undefined) table = header;
    const chain = /^\tchain (\S+) \{/.exec(block)?.[1];
    if (chain === undefined) continue;
    const base = /type \S+ hook (\S+) .*?(?:policy (\w+);)?$/m.exec(block);
    const lines = block
      .split('\n')
      .slice(1)
      .map((line) => line.trim());
    chains.push({ name: `${table} ${chain}`, table, hook: base?.[1], policy: base?.[2], lines });
  }
  return chains;
}

/**
 * Chains of iptables-save and ip6tables-save: `:NAME POLICY [..]` and `-A NAME …`, per `*table`. Tables of iptables-nft
 * are called as nft calls them.
 */
function savedChains(text: string, kind: '' | 'legacy'): Chain[] {
  return text.split(/^(?=# Generated by )/m).flatMap((save) => {
    const isV6 = save.startsWith('# Generated by ip6');
    const before = kind === 'legacy' ? `legacy ${isV6 ? 'ip6 ' : ''}` : isV6 ? 'ip6 ' : 'ip ';
    return tablesOf(save, before);
  });
}

function tablesOf(save: string, before: string): Chain[] {
  return save
    .split(/^\*/m)
    .slice(1)
    .flatMap((part) => {
      const lines = part.split('\n');
      const table = `${before}${lines[0]}`;
      const rules = Map.groupBy(lines, (line) => /^-A (\S+) /.exec(line)?.[1]);
      return lines.flatMap((line) => {
        const [, chain = '', policy = ''] = /^:(\S+) (\S+)/.exec(line) ?? [];
        if (chain === '') return [];
        const own = rules.get(chain) ?? [];
        const hook = policy === '-' ? undefined : chain.toLowerCase();
        return { name: `${table} ${chain}`, table, hook, policy: policy.toLowerCase(), lines: own };
      });
    });
}
