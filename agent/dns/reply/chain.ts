/**
 * Which records of an answer section answer the question: those of its name and of every name that a chain of aliases
 * reaches from there (RFC 1034 §4.3.2, RFC 6672 §3.2), in any order.
 */
import type { QuestionFields } from '../build.ts';
import { HEADER_BYTES, u16 } from '../header.ts';
import { CLASS, isTransfer, TYPE } from '../iana.ts';
import { MAX_NAME_BYTES } from '../name.ts';
import type { RecordView } from '../records.ts';
import { POINTER_TO_QUESTION } from './check.ts';
import type { NameReader } from './names.ts';
import type { Suffixes } from './suffixes.ts';

/** The message's names, already read. */
export interface Tables {
  readonly names: NameReader;
  readonly suffixes: Suffixes;
}

/** Maximum names in a chain. Resolvers stop earlier: unbound after 11, BIND after 16. */
const MAX_NAMES = 32;

/**
 * Whether each of the first `count` of `records`, the answers, belongs to the chain, by index; undefined if all do. The
 * names have been read. A record that does not belong only answers another question. In transfers all belong: their
 * records have any name of the zone.
 */
export function chainOf(
  wire: Uint8Array,
  records: readonly RecordView[],
  count: number,
  { names, suffixes }: Tables,
  question: QuestionFields,
): readonly boolean[] | undefined {
  if (isTransfer(question.type) || isDirect(wire, records, count, question)) return undefined;
  if (isInOrder(wire, records, count, { names, suffixes }, question)) return undefined;
  const answers = records.slice(0, count);
  const found = aliasesIn(wire, answers, suffixes, question.class);
  const { owners } = found;
  const { reached, replaced } = follow(suffixes.lowerText(suffixes.question), found);
  const belongs = answers.map(({ type, class: qclass }, i) => {
    if (qclass !== question.class && question.class !== CLASS.ANY) return false;
    const owner = owners[i] as string;
    const isSuffix = type === TYPE.DNAME || type === TYPE.RRSIG;
    return reached.has(owner) || (isSuffix && replaced.has(owner));
  });
  return belongs.includes(false) ? belongs : undefined;
}

/** The most frequent case: no aliases, and owners that are pointers to the question. */
function isDirect(
  wire: Uint8Array,
  records: readonly RecordView[],
  count: number,
  question: QuestionFields,
): boolean {
  for (let i = 0; i < count; i++) {
    const { start, type, class: qclass } = records[i] as RecordView;
    if (type === TYPE.CNAME || qclass !== question.class) return false;
    if (u16(wire, start) !== POINTER_TO_QUESTION) return false;
  }
  return true;
}

/** The usual case: each alias comes before the records of its target, with the same letter case. */
function isInOrder(
  wire: Uint8Array,
  records: readonly RecordView[],
  count: number,
  { names, suffixes }: Tables,
  question: QuestionFields,
): boolean {
  let name = HEADER_BYTES;
  let before = name;
  let reached = 1;
  for (let i = 0; i < count; i++) {
    const { start, type, class: qclass, rdataStart } = records[i] as RecordView;
    const owner = u16(wire, start) === POINTER_TO_QUESTION ? HEADER_BYTES : names.first(start);
    if (qclass !== question.class) return false;
    const isHere = suffixes.areSame(owner, name);
    if (!isHere && !suffixes.areSame(owner, before)) return false;
    if (type !== TYPE.CNAME || !isHere) continue;
    before = name;
    name = names.first(rdataStart);
    reached++;
  }
  return reached <= MAX_NAMES;
}

interface Aliases {
  /** Names are in lower case, one character per byte. */
  readonly owners: readonly string[];
  /** Targets of CNAME records, by owner. */
  readonly aliases: ReadonlyMap<string, readonly string[]>;
  /** Target of a DNAME record, by owner. */
  readonly redirects: ReadonlyMap<string, string>;
}

/** Aliases of another class than `asked` are ignored, and not kept. */
function aliasesIn(
  wire: Uint8Array,
  answers: readonly RecordView[],
  suffixes: Suffixes,
  asked: number,
): Aliases {
  const texts = new Map<number, string>();
  const textAt = (offset: number): string => {
    const isQuestion = u16(wire, offset) === POINTER_TO_QUESTION;
    const node = isQuestion ? suffixes.question : suffixes.of(offset);
    const text = texts.get(node) ?? suffixes.lowerText(node);
    texts.set(node, text);
    return text;
  };
  const aliases = new Map<string, string[]>();
  const redirects = new Map<string, string>();
  const owners = answers.map(({ start, type, class: qclass, rdataStart }) => {
    const owner = textAt(start);
    if (qclass !== asked && asked !== CLASS.ANY) return owner;
    if (type === TYPE.DNAME) redirects.set(owner, textAt(rdataStart));
    if (type !== TYPE.CNAME) return owner;
    const targets = aliases.get(owner);
    if (targets === undefined) aliases.set(owner, [textAt(rdataStart)]);
    else targets.push(textAt(rdataStart));
    return owner;
  });
  return { owners, aliases, redirects };
}

/** Every name reachable from `question`, itself included, and every owner of a DNAME on the way. */
function follow(
  question: string,
  { aliases, redirects }: Aliases,
): { reached: ReadonlySet<string>; replaced: ReadonlySet<string> } {
  const reached = new Set([question]);
  const replaced = new Set<string>();
  const add = (name: string): void => {
    if (name.length <= MAX_NAME_BYTES && reached.size < MAX_NAMES) reached.add(name);
  };
  // Names added during the loop are visited as well.
  for (const name of reached) {
    for (const target of aliases.get(name) ?? []) add(target);
    if (redirects.size === 0) continue;
    for (let at = name.charCodeAt(0) + 1; at < name.length; at += name.charCodeAt(at) + 1) {
      const suffix = name.slice(at);
      const target = redirects.get(suffix);
      if (target === undefined) continue;
      replaced.add(suffix);
      add(name.slice(0, at) + target);
    }
  }
  return { reached, replaced };
}
