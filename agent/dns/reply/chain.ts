/**
 * What of an answer section answers the question: the records of its name and of every name that a chain of aliases
 * leads to from there (RFC 1034 §4.3.2, RFC 6672 §3.2), in whatever order they stand.
 */
import type { QuestionFields } from '../build.ts';
import { u16 } from '../header.ts';
import { CLASS, isTransfer, TYPE } from '../iana.ts';
import { MAX_NAME_BYTES } from '../name.ts';
import type { RecordView } from '../records.ts';
import { POINTER_TO_QUESTION } from './check.ts';
import type { NameTable } from './names.ts';

/** Names that a chain may have. Resolvers give up sooner: unbound after 11, BIND after 16. */
const MAX_NAMES = 32;

/**
 * Whether each of the first `count` of `records`, the answers, belongs to the chain, by index; undefined where all do.
 * `names` has read them. Of a record that does not belong, nothing is known but that it answers another question. In
 * transfers all belong: their records have whatever names the zone has.
 */
export function chainOf(
  wire: Uint8Array,
  records: readonly RecordView[],
  count: number,
  names: NameTable,
  question: QuestionFields,
): readonly boolean[] | undefined {
  if (isTransfer(question.type) || isDirect(wire, records, count, question)) return undefined;
  if (isInOrder(wire, records, count, names, question)) return undefined;
  const answers = records.slice(0, count);
  const { owners, aliases, suffixes } = aliasesIn(wire, answers, names);
  const { reached, replaced } = follow(names.lowerText(names.question), aliases, suffixes);
  const belongs = answers.map(({ type, class: qclass }, i) => {
    if (qclass !== question.class && question.class !== CLASS.ANY) return false;
    const owner = owners[i] as string;
    const isSuffix = type === TYPE.DNAME || type === TYPE.RRSIG;
    return reached.has(owner) || (isSuffix && replaced.has(owner));
  });
  return belongs.includes(false) ? belongs : undefined;
}

/** The most usual case: no aliases, and owners that are pointers to the question. */
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

/** The usual case: each alias stands before what it leads to, with the same letters. */
function isInOrder(
  wire: Uint8Array,
  records: readonly RecordView[],
  count: number,
  names: NameTable,
  question: QuestionFields,
): boolean {
  let name = names.question;
  let before = name;
  let reached = 1;
  for (let i = 0; i < count; i++) {
    const { start, type, class: qclass, rdataStart } = records[i] as RecordView;
    const owner = nodeAt(wire, start, names);
    if (qclass !== question.class || (owner !== name && owner !== before)) return false;
    if (type !== TYPE.CNAME || owner !== name) continue;
    before = name;
    name = names.at(rdataStart);
    reached++;
  }
  return reached <= MAX_NAMES;
}

function nodeAt(wire: Uint8Array, offset: number, names: NameTable): number {
  return u16(wire, offset) === POINTER_TO_QUESTION ? names.question : names.at(offset);
}

interface Aliases {
  /** Names are in lower case, one character per byte. */
  readonly owners: readonly string[];
  /** Targets of CNAME records, by owner. */
  readonly aliases: ReadonlyMap<string, readonly string[]>;
  /** Target of a DNAME record, by owner. */
  readonly suffixes: ReadonlyMap<string, string>;
}

function aliasesIn(wire: Uint8Array, answers: readonly RecordView[], names: NameTable): Aliases {
  const texts = new Map<number, string>();
  const textAt = (offset: number): string => {
    const node = nodeAt(wire, offset, names);
    const text = texts.get(node) ?? names.lowerText(node);
    texts.set(node, text);
    return text;
  };
  const aliases = new Map<string, string[]>();
  const suffixes = new Map<string, string>();
  const owners = answers.map(({ start, type, rdataStart }) => {
    const owner = textAt(start);
    if (type === TYPE.DNAME) suffixes.set(owner, textAt(rdataStart));
    if (type !== TYPE.CNAME) return owner;
    const targets = aliases.get(owner);
    if (targets === undefined) aliases.set(owner, [textAt(rdataStart)]);
    else targets.push(textAt(rdataStart));
    return owner;
  });
  return { owners, aliases, suffixes };
}

/** Every name that `question` leads to, itself included, and every owner of a DNAME on the way. */
function follow(
  question: string,
  aliases: Aliases['aliases'],
  suffixes: Aliases['suffixes'],
): { reached: ReadonlySet<string>; replaced: ReadonlySet<string> } {
  const reached = new Set([question]);
  const replaced = new Set<string>();
  const add = (name: string): void => {
    if (name.length <= MAX_NAME_BYTES && reached.size < MAX_NAMES) reached.add(name);
  };
  // What is added meanwhile is looked at as well.
  for (const name of reached) {
    for (const target of aliases.get(name) ?? []) add(target);
    if (suffixes.size === 0) continue;
    for (let at = name.charCodeAt(0) + 1; at < name.length; at += name.charCodeAt(at) + 1) {
      const suffix = name.slice(at);
      const target = suffixes.get(suffix);
      if (target === undefined) continue;
      replaced.add(suffix);
      add(name.slice(0, at) + target);
    }
  }
  return { reached, replaced };
}
