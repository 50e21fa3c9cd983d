/** iptables rules as input of `iptables-restore`, and the edits that turn the output of `iptables-save` into them. */
import { createHash } from 'node:crypto';
import type { Family } from '../../../agent/base/address.ts';
import type { Hook, Rule, RuleSet } from '../../plan/plan.ts';
import { addressesIn } from '../backend.ts';
import { isClaimMet } from '../nft/table.ts';
import { isRuleComment, ruleComment } from '../rule-comment.ts';

/** Tables that our chains are in: `raw` comes before connection tracking, `filter` has the ACCEPTs. */
export type TableName = 'raw' | 'filter';

/** Each `TableName`, in the order in which a script edits them. */
export const TABLES: readonly TableName[] = ['raw', 'filter'];

/** What the names of our chains begin with. */
export const OWN = 'NODENS-';
/** An empty chain: init has created the base chain of that name, so cleanup removes it. */
const MADE = 'NODENS-MADE-';
/**
 * A chain that no rule jumps to. Its one rule's comment is a fingerprint of our chains in this table as their writer left
 * them. So each instance can distinguish damage from rules of another version.
 */
const DECLARES = 'NODENS-DECLARES';

/** Takes the host's own queries to the agent. */
export const HOST_QUERY_CHAIN = `${OWN}QUERY-OUTPUT`;

/** One table of `iptables-save`. */
export interface SavedTable {
  /** Policy of a base chain, `-` for a user's chain. */
  readonly policies: ReadonlyMap<string, string>;
  /** Lines that start with `-A`, by their chain. */
  readonly rules: ReadonlyMap<string, readonly string[]>;
}

/** Stands for a table that does not exist. */
export const EMPTY_TABLE: SavedTable = { policies: new Map(), rules: new Map() };

/** A chain of our own, jumped to from the head of the base chain `base`. */
export interface OwnChain {
  readonly name: string;
  readonly base: string;
  /** Complete `-A …` lines. */
  readonly lines: readonly string[];
}

/** The table `name` out of `iptables-save`'s text; empty where the text does not have it. */
export function parseSaved(text: string, name: TableName): SavedTable {
  return tableIn(text.split(`*${name}\n`, 2)[1]?.split('\nCOMMIT', 1)[0] ?? '');
}

/**
 * A table as `iptables-save` prints it (`:CHAIN POLICY`) or `iptables -S` (`-P CHAIN POLICY`, `-N CHAIN`). With -S,
 * iptables-nft reads the one table; iptables-save reads all tables of its family, whichever it prints.
 */
export function tableIn(body: string): SavedTable {
  const policies = new Map<string, string>();
  const rules = new Map<string, string[]>();
  for (const line of body.split('\n')) {
    const [, what, chain, policy] = /^(:|-[APN] )(\S+)(?: (\S+))?/.exec(line) ?? [];
    if (chain === undefined) continue;
    if (what !== '-A ') policies.set(chain, what === '-N ' ? '-' : (policy ?? '-'));
    else rules.set(chain, [...(rules.get(chain) ?? []), line]);
  }
  return { policies, rules };
}

/** Rules of one family, as far as iptables installs them. */
export type FamilyRules = Pick<RuleSet, 'query' | 'standing' | 'accept' | 'kept'>;

/** The rules of one family; the fallback and TCP affinity are left out, because only nft has them. */
export function familyPart(
  { query, standing, accept, kept }: RuleSet,
  family: Family,
): FamilyRules {
  const of = (list: readonly Rule[]): Rule[] => list.filter((rule) => rule.family === family);
  return {
    query: of(query),
    standing: of(standing),
    accept: of(accept),
    kept: { ...kept, standing: of(kept.standing), accept: of(kept.accept) },
  };
}

/** Our chains in `table` for `rules`. ACCEPTs only under a base chain whose policy is DROP. */
export function ownChains(table: TableName, rules: FamilyRules, saved: SavedTable): OwnChain[] {
  const { query, standing, accept, kept } = rules;
  if (table === 'raw')
    return [...chainsOf('QUERY', query), ...chainsOf('STANDING', [...standing, ...kept.standing])];
  return chainsOf('ACCEPT', [...accept, ...kept.accept]).filter(
    ({ base }) => saved.policies.get(base) === 'DROP',
  );
}

function chainsOf(part: string, rules: readonly Rule[]): OwnChain[] {
  return Object.entries(Object.groupBy(rules, (rule) => rule.hook)).map(([hook, ofHook]) => {
    const base = BASE_CHAIN[hook as Hook];
    const name = `${OWN}${part}-${base}`;
    return { name, base, lines: ofHook.flatMap((rule) => linesOf(name, rule)) };
  });
}

const BASE_CHAIN = { prerouting: 'PREROUTING', input: 'INPUT', output: 'OUTPUT' } as const;

function linesOf(chain: string, rule: Rule): string[] {
  const [address, port, peerPort] =
    rule.side === 'source' ? ['-s', '--sport', '--dport'] : ['-d', '--dport', '--sport'];
  const peers = rule.peerPorts && `${peerPort} ${rule.peerPorts.first}:${rule.peerPorts.last}`;
  return rule.addresses.map((ip) => {
    const match = [
      ...(rule.fromLoopback ? ['-i lo'] : []),
      `${address} ${ip} -p ${rule.protocol} -m ${rule.protocol} ${port} ${rule.port}`,
      ...(peers === undefined ? [] : [peers]),
      ...(rule.synMark === undefined ? [] : [synMatch(rule.synMark)]),
      ...(rule.whileBound ? ['-m socket'] : []),
    ].join(' ');
    const verdict = rule.verdict === 'notrack' ? 'CT --notrack' : 'ACCEPT';
    return `-A ${chain} ${match} -m comment --comment ${ruleComment(rule.id, match)} -j ${verdict}`;
  });
}

function synMatch(mark: number): string {
  const bit = `0x${mark.toString(16)}`;
  return `--tcp-flags FIN,SYN,RST,ACK SYN -m mark --mark ${bit}/${bit}`;
}

/**
 * Lines of an `iptables-restore --noflush` that turn `saved` into a table that holds exactly `wanted` of our chains;
 * empty where it does. `exists`: whether a base chain is in the kernel already.
 *
 * Where this has been `settled` before, what another version of nodens has written since is left alone.
 */
export function editsOf(
  saved: SavedTable,
  wanted: readonly OwnChain[],
  exists: (base: string) => boolean,
  settled = false,
): string[] {
  if (settled && isOfAnother(saved, wanted)) return [];
  const kept = new Set(wanted.map((chain) => chain.name));
  const surplus = filledNames(saved).filter((name) => !kept.has(name));
  const made = new Set(wanted.map((chain) => chain.base).filter((base) => !exists(base)));
  return [
    ...[...made].map((base) => `:${MADE}${base} - [0:0]`),
    ...fillEdits(saved, wanted),
    ...wanted.flatMap((chain) => jumpEdits(saved, chain)),
    ...surplus.flatMap((name) => removeChain(saved, name)),
    ...(wanted.length === 0 && saved.policies.has(DECLARES) ? removeChain(saved, DECLARES) : []),
  ];
}

/** Whether our chains are as their writer declared them, and that writer did not want `wanted`. */
export function isOfAnother(saved: SavedTable, wanted: readonly OwnChain[]): boolean {
  const names = filledNames(saved);
  const there = fingerprint(names.map((name) => [name, saved.rules.get(name) ?? []]));
  const isWhole = there === declared(saved) && names.every((n) => jumpsTo(saved, n).length === 1);
  return isWhole && there !== fingerprintOf(wanted);
}

function declared(saved: SavedTable): string | undefined {
  const [line = ''] = saved.rules.get(DECLARES) ?? [];
  return /--comment "?([^\s"]+)/.exec(line)?.[1];
}

function fingerprintOf(chains: readonly OwnChain[]): string {
  return fingerprint(chains.map(({ name, lines }) => [name, lines]));
}

/** Of chains by name, in any order. */
function fingerprint(chains: readonly (readonly [string, readonly string[]])[]): string {
  const texts = chains.map(([name, lines]) => [name, ...lines.map(commentIn)].join(' ')).sort();
  return `nodens-${createHash('sha256').update(texts.join('\n')).digest('hex').slice(0, 8)}`;
}

/** Changes when this instance itself wants other rules; `own` are the chains without rules for kept local IPs. */
export function claimOf(own: readonly OwnChain[], { removedIps }: RuleSet['kept']): string {
  return JSON.stringify([own, removedIps]);
}

/** Whether the table names the local IPs of `standing` and none that are removed, whichever instance wrote it. */
export function isKept(
  table: TableName,
  standing: readonly Rule[],
  { removedIps }: RuleSet['kept'],
  saved: SavedTable,
): boolean {
  if (table !== 'raw') return true;
  const needs = standing.flatMap(({ addresses }) => addresses);
  return isClaimMet({ needs, shuns: removedIps }, addressesIn(standingLines(saved).join('\n')));
}

/** Lines that remove all chains of ours and everything a crashed node-local-dns left in this table. */
export function removalEdits(saved: SavedTable): string[] {
  const names = ownNames(saved);
  return [
    ...nodeLocalDnsLines(saved).map(deletion),
    ...names.flatMap((name) => removeChain(saved, name)),
  ];
}

/** As `removalEdits`, but only what node-local-dns kept. */
export function nodeLocalDnsEdits(saved: SavedTable): string[] {
  return nodeLocalDnsLines(saved).map(deletion);
}

/** Base chains that have no use after `removalEdits`: init or node-local-dns has created them. */
export function orphanCandidates(saved: SavedTable): Set<string> {
  const made = ownNames(saved).filter((name) => name.startsWith(MADE));
  const bases = nodeLocalDnsLines(saved).map((line) => line.split(' ')[1] as string);
  return new Set([...made.map((name) => name.slice(MADE.length)), ...bases]);
}

/** Rules inside chains of ours. */
export function ownLines(saved: SavedTable): string[] {
  return ownNames(saved).flatMap((name) => saved.rules.get(name) ?? []);
}

/** Rules inside our chains that stay until cleanup. */
export function standingLines(saved: SavedTable): string[] {
  return [...saved.rules].flatMap(([name, lines]) =>
    name.startsWith(`${OWN}STANDING-`) ? lines : [],
  );
}

function ownNames(saved: SavedTable): string[] {
  return [...saved.policies.keys()].filter((name) => name.startsWith(OWN));
}

/** Chains of ours that hold rules for packets. */
function filledNames(saved: SavedTable): string[] {
  return ownNames(saved).filter((name) => !name.startsWith(MADE) && name !== DECLARES);
}

/** Rules of a node-local-dns, running or not. */
export function nodeLocalDnsLines(saved: SavedTable): string[] {
  return [...saved.rules.values()].flat().filter((line) => NODE_LOCAL_DNS_COMMENT.test(line));
}

/** What those have in common. */
export const NODE_LOCAL_DNS_TEXT = 'NodeLocal DNS Cache: ';

/** Comments of node-local-dns's rules, identical in all its versions that have comments. */
const NODE_LOCAL_DNS_COMMENT =
  /--comment "NodeLocal DNS Cache: (skip conntrack|allow DNS traffic)"/;

/** All or nothing: two versions that repair at the same moment must not leave half of each. */
function fillEdits(saved: SavedTable, wanted: readonly OwnChain[]): string[] {
  const isRight = ({ name, lines }: OwnChain): boolean => {
    const present = (saved.rules.get(name) ?? []).map(commentIn);
    return saved.policies.has(name) && present.join() === lines.map(commentIn).join();
  };
  const text = fingerprintOf(wanted);
  if (wanted.length === 0 || (wanted.every(isRight) && declared(saved) === text)) return [];
  const filled = wanted.flatMap(({ name, lines }) => [`:${name} - [0:0]`, ...lines]);
  return [...filled, `:${DECLARES} - [0:0]`, `-A ${DECLARES} -m comment --comment ${text}`];
}

/** `:CHAIN` flushes an existing chain, so base chains must not be listed so. */
function jumpEdits(saved: SavedTable, { name, base }: OwnChain): string[] {
  const [first, ...doubles] = jumpsTo(saved, name);
  const insertion = `-I ${base} 1 -m comment --comment nodens -j ${name}`;
  return [...doubles.map(deletion), ...(first === undefined ? [insertion] : [])];
}

function removeChain(saved: SavedTable, name: string): string[] {
  return [...jumpsTo(saved, name).map(deletion), `-F ${name}`, `-X ${name}`];
}

function jumpsTo(saved: SavedTable, name: string): string[] {
  return [...saved.rules.values()].flat().filter((line) => line.endsWith(` -j ${name}`));
}

function deletion(line: string): string {
  return line.replace(/^-A/, '-D');
}

function commentIn(line: string): string | undefined {
  const comment = /--comment "?([^\s"]+)/.exec(line)?.[1];
  return isRuleComment(comment) ? comment : undefined;
}
