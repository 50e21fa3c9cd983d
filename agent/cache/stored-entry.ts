/** Stored entries as an operator sees them: what each answers, and whether it is still of use. */
import { className, rcodeName, typeName } from '../dns/iana.ts';
import { nameToText } from '../dns/name.ts';
import type { Entry } from './store/entry.ts';

/** An entry of one block. */
export interface StoredEntry {
  readonly blockId: number;
  readonly entry: Entry;
  /** Whether the directives below `cache` are still those that it was stored under. */
  readonly isCurrent: boolean;
}

/** Kinds of entries by what they answer: `cut` is a denial of all names below its own (RFC 8020). */
export type StoredKind = 'answer' | 'denial' | 'failure' | 'cut';

/** What a key says. Layout: block (2 bytes), type (2), class (2), DO and CD (1), name, then options or `!`. */
export interface KeyFields {
  /** Lower-case wire form. */
  readonly name: Uint8Array;
  readonly type: number;
  readonly class: number;
  readonly dnssecOk: boolean;
  readonly checkingDisabled: boolean;
  readonly hasOptions: boolean;
}

/** Offset of the name in a key (`Query.keyIn`). */
export const NAME_AT = 7;

/** Reads the key of an entry. */
export function keyFields({ key, kind }: Entry): KeyFields {
  const bytes = Buffer.from(key, 'latin1');
  let end = NAME_AT;
  while (end < bytes.length && bytes[end] !== 0) end += (bytes[end] as number) + 1;
  const variant = bytes[NAME_AT - 1] as number;
  const nameEnd = end + 1;
  return {
    name: bytes.subarray(NAME_AT, nameEnd),
    type: bytes.readUInt16BE(2),
    class: bytes.readUInt16BE(4),
    dnssecOk: (variant & 1) !== 0,
    checkingDisabled: (variant & 2) !== 0,
    hasOptions: kind !== 'failure' && bytes.length > nameEnd,
  };
}

/** Whether the key is that of a cut: it has neither type nor class. */
export function isCut(key: string): boolean {
  return key.startsWith('\0\0\0\0', 2);
}

/** What the entry answers. */
export function kindOf({ kind, key }: Entry): StoredKind {
  if (kind === 'positive') return 'answer';
  if (kind === 'failure') return 'failure';
  return isCut(key) ? 'cut' : 'denial';
}

/** `fresh` and `stale` answer queries; `stale-only` was stored by another configuration; `expired` is of no use. */
export function stateOf(
  { entry, isCurrent }: StoredEntry,
  nowMs: number,
): 'fresh' | 'stale' | 'stale-only' | 'expired' {
  if (nowMs < entry.expiresMs) {
    if (isCurrent) return 'fresh';
    return entry.kind === 'positive' ? 'stale-only' : 'expired';
  }
  return entry.kind === 'positive' && nowMs < usableUntilMs(entry) ? 'stale' : 'expired';
}

/** Clock time until which it may be served if nothing better is there. */
export function usableUntilMs({ dropAfterMs, keptUntilMs, expiresMs }: Entry): number {
  return Math.max(expiresMs, dropAfterMs, keptUntilMs);
}

/** Names of the fields as an operator writes them. */
export function keyTexts(entry: Entry): {
  readonly name: string;
  readonly type: string;
  readonly class: string;
  readonly rcode: string;
} {
  const { name, type, class: qclass } = keyFields(entry);
  const cut = isCut(entry.key);
  return {
    name: nameToText(name),
    type: cut ? '*' : typeName(type),
    class: cut ? 'IN' : className(qclass),
    rcode: rcodeName(entry.answer.rcode),
  };
}
