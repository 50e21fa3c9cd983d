/** Tables of our own as one transaction of nf_tables: what `nft -f` would send, without its copy of the node's chains. */

import { addressBytes, familyOf } from '../../../../agent/base/address.ts';
import { attribute, message, zeroTerminated } from '../../../netlink/message.ts';
import {
  FAMILY_NUMBER,
  NFT_MESSAGE,
  NFT_RULE,
  NFT_SET,
  NFT_TABLE,
  named,
} from '../../../netlink/nf-objects.ts';
import {
  declaredChain,
  type Table,
  type TableChain,
  type TableRule,
  tableComment,
} from '../table.ts';
import { big32, big64, nested } from './expressions.ts';
import { ANONYMOUS, expressionsOf, millisecondsOf, type Sets } from './phrases.ts';
import { UnknownPhraseError } from './words.ts';

const BATCH_BEGIN = 16;
const BATCH_END = 17;
const NF_TABLES = 10;
/** NLM_F_REQUEST, NLM_F_CREATE, NLM_F_APPEND, NLM_F_ACK. */
const REQUEST = 0x1;
const CREATE = 0x400;
const APPEND = 0x800;
const ACKNOWLEDGE = 0x4;

const HOOKS = { prerouting: 0, input: 1, output: 3, postrouting: 4 } as const;
const CHAIN = { name: 3, hook: 4, policy: 5, type: 7 };
const HOOK = { number: 1, priority: 2 };
const POLICY_ACCEPT = 1;
const TABLE_FLAGS = 2;
const OWNER = 2;
const SET = {
  ...{ flags: 3, keyType: 4, keyBytes: 5, description: 9, id: 10, timeout: 11, userData: 13 },
  size: 1,
} as const;
/** Anonymous and constant; with timeouts and filled by rules. */
const SET_FLAGS = { anonymous: 0x1 | 0x2, dynamic: 0x10 | 0x20 };
const ELEMENTS = { list: 3, id: 4, key: 1, value: 1 };
const LIST_ELEMENT = 1;

/** nft's numbers for types of keys, and their bytes. A key of several parts has six bits of each. */
const TYPES: Readonly<Record<string, readonly [number: number, bytes: number]>> = {
  ipv4_addr: [7, 4],
  ipv6_addr: [8, 16],
  inet_service: [13, 2],
};
const TYPE_BITS = 6;
/** User data of a set by which nft shows its keys in network order. */
const NETWORK_ORDER = Uint8Array.of(0, 4, 2, 0, 0, 0);

/** What becomes of a table that is there: it is replaced, or keeps its sets and loses these chains and sets. */
export type Change =
  | { readonly table: Table; readonly isOwned?: boolean }
  | { readonly table: Table; readonly going: readonly string[] }
  /** A new table that has nothing but an owner. */
  | { readonly owned: string }
  /** A set of that table loses its elements. */
  | { readonly table: string; readonly emptied: string };

/**
 * `isTrial`: the kernel checks the transaction and does not make it. Throws `UnknownPhraseError` where only the program nft
 * can write such a rule.
 */
export function transactionOf(changes: readonly Change[], isTrial = false): Uint8Array {
  const writer = new Writer();
  for (const change of changes) writer.change(change);
  return writer.batch(isTrial);
}

class Writer {
  readonly #messages: ((sequence: number, flags: number) => Uint8Array)[] = [];
  #sets = 0;

  change(change: Change): void {
    if ('owned' in change) {
      this.#table(change.owned, true);
      return;
    }
    if ('emptied' in change) {
      const names = [named(NFT_TABLE, change.table), named(NFT_SET.name, change.emptied)];
      this.#push(NFT_MESSAGE.deleteElements, 0, names);
      return;
    }
    const { table } = change;
    const isOwned = 'isOwned' in change && change.isOwned === true;
    if ('going' in change) {
      this.#push(NFT_MESSAGE.deleteRule, 0, [named(NFT_TABLE, table.name)]);
      for (const what of change.going) this.#remove(table.name, what);
    } else {
      this.#table(table.name, isOwned);
      this.#push(NFT_MESSAGE.deleteTable, 0, [named(NFT_TABLE, table.name)]);
    }
    if (table.chains.length > 0) this.#write(table, isOwned);
  }

  /** The last message is acknowledged; the kernel reports each that failed. Without an end it makes nothing. */
  batch(isTrial: boolean): Uint8Array {
    const last = this.#messages.length - 1;
    const body = this.#messages.map((make, i) => make(i + 1, i === last ? ACKNOWLEDGE : 0));
    return Buffer.concat([limit(BATCH_BEGIN), ...body, ...(isTrial ? [] : [limit(BATCH_END)])]);
  }

  #table(name: string, isOwned: boolean): void {
    const flags = attribute(TABLE_FLAGS, big32(isOwned ? OWNER : 0));
    this.#push(NFT_MESSAGE.newTable, CREATE, [named(NFT_TABLE, name), flags]);
  }

  /** `chain NAME` or `set NAME`. */
  #remove(table: string, what: string): void {
    const [kind, name = ''] = what.split(' ');
    const [type, key] =
      kind === 'chain'
        ? [NFT_MESSAGE.deleteChain, CHAIN.name]
        : [NFT_MESSAGE.deleteSet, NFT_SET.name];
    this.#push(type, 0, [named(NFT_TABLE, table), named(key, name)]);
  }

  #write(table: Table, isOwned: boolean): void {
    const { name, sets = [], chains } = table;
    const ids = new Map<string, number>();
    this.#table(name, isOwned);
    for (const set of sets) ids.set(set.name, this.#namedSet(name, set.name, set.text));
    const declared = isOwned ? [] : [declaredChain(table)];
    for (const chain of declared)
      this.#push(NFT_MESSAGE.newChain, CREATE, [named(NFT_TABLE, name), named(CHAIN.name, chain)]);
    for (const chain of chains) this.#chain(name, chain);
    for (const chain of chains)
      for (const rule of chain.rules) this.#rule(name, chain.name, rule, ids);
  }

  #chain(table: string, { name, type, hook, priority }: TableChain): void {
    this.#push(NFT_MESSAGE.newChain, CREATE, [
      ...[named(NFT_TABLE, table), named(CHAIN.name, name), named(CHAIN.type, type)],
      attribute(CHAIN.policy, big32(POLICY_ACCEPT)),
      nested(
        CHAIN.hook,
        attribute(HOOK.number, big32(HOOKS[hook])),
        attribute(HOOK.priority, big32(priority)),
      ),
    ]);
  }

  #rule(table: string, chain: string, rule: TableRule, ids: ReadonlyMap<string, number>): void {
    const sets: Sets = {
      idOf: (name) => {
        const id = ids.get(name);
        if (id === undefined) throw new UnknownPhraseError([`@${name}`]);
        return id;
      },
      add: (addresses) => this.#anonymousSet(table, addresses),
    };
    const expressions = expressionsOf(`${rule.match} counter ${rule.action}`, sets);
    const comment = zeroTerminated(tableComment(rule));
    this.#push(NFT_MESSAGE.newRule, CREATE | APPEND, [
      ...[named(NFT_TABLE, table), named(NFT_RULE.chain, chain)],
      nested(NFT_RULE.expressions, ...expressions),
      attribute(NFT_RULE.userData, Buffer.concat([Uint8Array.of(0, comment.length), comment])),
    ]);
  }

  #anonymousSet(table: string, addresses: readonly string[]): number {
    const type = familyOf(addresses[0] ?? '') === 6 ? 'ipv6_addr' : 'ipv4_addr';
    const [number, bytes] = TYPES[type] ?? [0, 0];
    const id = ++this.#sets;
    this.#push(NFT_MESSAGE.newSet, CREATE, [
      ...[named(NFT_TABLE, table), named(NFT_SET.name, ANONYMOUS)],
      attribute(SET.flags, big32(SET_FLAGS.anonymous)),
      ...[attribute(SET.keyType, big32(number)), attribute(SET.keyBytes, big32(bytes))],
      attribute(SET.id, big32(id)),
      nested(SET.description, attribute(SET.size, big32(addresses.length))),
      attribute(SET.userData, NETWORK_ORDER),
    ]);
    const elements = addresses.map((ip) =>
      nested(LIST_ELEMENT, nested(ELEMENTS.key, attribute(ELEMENTS.value, addressBytes(ip)))),
    );
    this.#push(NFT_MESSAGE.newElements, CREATE, [
      ...[named(NFT_TABLE, table), named(NFT_SET.name, ANONYMOUS)],
      attribute(ELEMENTS.id, big32(id)),
      nested(ELEMENTS.list, ...elements),
    ]);
    return id;
  }

  /** `type A . B . C; size N; flags dynamic,timeout; timeout 5m;` */
  #namedSet(table: string, name: string, text: string): number {
    const [, type = '', size, timeout = ''] =
      /^type ([\w .]+); size (\d+); flags dynamic,timeout; timeout (\w+);$/.exec(text) ?? [];
    if (size === undefined) throw new UnknownPhraseError(['set', name, text]);
    const parts = type.split(' . ').map((part) => TYPES[part] ?? [0, 0]);
    const number = parts.reduce((all, [one]) => (all << TYPE_BITS) | one, 0);
    const padded = parts.map(([, bytes]) => Math.max(bytes, 4));
    const id = ++this.#sets;
    this.#push(NFT_MESSAGE.newSet, CREATE, [
      ...[named(NFT_TABLE, table), named(NFT_SET.name, name)],
      attribute(SET.flags, big32(SET_FLAGS.dynamic)),
      attribute(SET.keyType, big32(number)),
      attribute(SET.keyBytes, big32(padded.reduce((all, bytes) => all + bytes, 0))),
      ...[attribute(SET.id, big32(id)), attribute(SET.timeout, big64(millisecondsOf(timeout)))],
      nested(SET.description, attribute(SET.size, big32(Number(size)))),
      attribute(SET.userData, NETWORK_ORDER),
    ]);
    return id;
  }

  #push(type: number, flags: number, attributes: readonly Uint8Array[]): void {
    const header = Uint8Array.of(FAMILY_NUMBER.inet, 0, 0, 0);
    this.#messages.push((sequence, more) =>
      message(type, REQUEST | flags | more, header, attributes, sequence),
    );
  }
}

/** Begin or end of a batch for nf_tables; its number is in network order. */
function limit(type: number): Uint8Array {
  return message(type, REQUEST, Uint8Array.of(0, 0, 0, NF_TABLES), []);
}
