/**
 * What init asks nf_tables itself. Programs of nft and iptables copy all chains or rules of the node for nearly every
 * question, hundreds of MB where kube-proxy has 10,000 Services. The kernel answers these for one table or chain, and the
 * addon drops what does not fit while it reads: no answer becomes larger with the cluster.
 */
import { addressBytes } from '../../agent/base/address.ts';
import { heldTable } from './held-table.ts';
import { attributeHead, bareAttribute, longNumberIn, textIn, zeroTerminated } from './message.ts';
import {
  type BaseChain,
  baseChainIn,
  commentIn,
  elementsIn,
  findObjects,
  NFT_CHAIN,
  NFT_MESSAGE,
  NFT_RULE,
  NFT_SET,
  NFT_TABLE,
  type NftObject,
  named,
  type Search,
  type SetElement,
  type TableName,
} from './nf-objects.ts';
import type { AskKernel } from './socket.ts';

/** Attribute of a value, in comparisons and set elements (NFTA_DATA_VALUE). */
const VALUE = 1;

/** A rule with a comment of nft. */
export interface CommentedRule {
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  /** Names the rule where one is deleted. */
  readonly handle: number;
  readonly comment: string;
}

/** All methods reject with `CommandError`. */
export class NfTables {
  readonly #ask: AskKernel;

  constructor(ask: AskKernel) {
    this.#ask = ask;
  }

  /** A table of family inet as text: see `heldTable`. */
  heldTable(table: string): Promise<string | undefined> {
    return heldTable(this.#ask, table);
  }

  /** Sends a transaction, or a trial of one. Rejects with `CommandError` where the kernel refuses any of it. */
  async commit(what: string, request: Uint8Array): Promise<void> {
    // Nothing of the answer is looked at: the kernel says that it is done, or why not.
    await this.#ask({
      what,
      request,
      filter: [{ type: 0xffff, needle: new Uint8Array(0) }],
      most: 0,
    });
  }

  /** All tables, of all families. */
  async tables(): Promise<TableName[]> {
    const found = await this.#find({ what: 'tables', type: NFT_MESSAGE.getTable });
    return found.map(({ family = '', attributes }) => {
      return { family, table: textIn(attributes.get(NFT_TABLE)) };
    });
  }

  /** All base chains, or those of these types. */
  async baseChains(types: readonly string[] = ['filter', 'nat', 'route']): Promise<BaseChain[]> {
    // Only base chains have a type.
    const needles = types.map((type) => bareAttribute(NFT_CHAIN.type, zeroTerminated(type)));
    const search = { what: 'base chains', type: NFT_MESSAGE.getChain, needles };
    return (await this.#find(search)).flatMap((chain) => baseChainIn(chain) ?? []);
  }

  /**
   * Names of the chains of a table, none where there is no such table. Those whose name begins with `without` are left out.
   */
  async chainsOf({ family, table }: TableName, without?: string): Promise<string[]> {
    const found = await this.#find({
      ...{ what: `chains of ${family} ${table}`, type: NFT_MESSAGE.getChain, family },
      needles: [bareAttribute(NFT_TABLE, zeroTerminated(table))],
      ...(without === undefined ? {} : { without: Buffer.from(without) }),
    });
    return found
      .filter(({ attributes }) => textIn(attributes.get(NFT_TABLE)) === table)
      .map(({ attributes }) => textIn(attributes.get(NFT_CHAIN.name)));
  }

  /** Whether a chain's name begins so. */
  hasChainLike(family: string, start: string): Promise<boolean> {
    const what = `chains ${start}… of ${family}`;
    return this.#has({ what, type: NFT_MESSAGE.getChain, family, needles: textOf(start) });
  }

  /** Whether there is this chain. */
  hasChain({ family, table }: TableName, chain: string): Promise<boolean> {
    return this.#has({
      ...{ what: `chain ${family} ${table} ${chain}`, type: NFT_MESSAGE.getChain, family },
      ...{ asked: [named(NFT_TABLE, table), named(NFT_CHAIN.name, chain)], isOne: true },
    });
  }

  /** Whether there is this table. */
  hasTable({ family, table }: TableName): Promise<boolean> {
    return this.#has({
      ...{ what: `table ${family} ${table}`, type: NFT_MESSAGE.getTable, family },
      ...{ asked: [named(NFT_TABLE, table)], isOne: true },
    });
  }

  /** Rules of the chain whose comment of nft begins with `start`; none where there is no such chain. */
  async commentedRules(
    { family, table }: TableName,
    chain: string,
    start: string,
  ): Promise<CommentedRule[]> {
    const found = await this.#find({
      ...{ what: `rules of ${family} ${table} ${chain}`, type: NFT_MESSAGE.getRule, family },
      asked: [named(NFT_TABLE, table), named(NFT_RULE.chain, chain)],
      needles: textOf(start),
    });
    return found
      .filter((rule) => commentIn(rule).startsWith(start))
      .map((rule) => ({
        ...{ family, table, chain, comment: commentIn(rule) },
        handle: longNumberIn(rule.attributes.get(NFT_RULE.handle)),
      }));
  }

  /** Whether a rule of the table, or of that chain in it, has any of `needles` in it: see `textOf` and `valuesOf`. */
  hasRule(
    { family, table }: TableName,
    needles: readonly Uint8Array[],
    chain: string | undefined = undefined,
  ): Promise<boolean> {
    const what = `rules of ${[family, table, chain ?? ''].join(' ').trimEnd()}`;
    const ofChain = chain === undefined ? [] : [named(NFT_RULE.chain, chain)];
    const asked = [named(NFT_TABLE, table), ...ofChain];
    return this.#has({ what, type: NFT_MESSAGE.getRule, family, asked, needles });
  }

  /**
   * Whether the set or map has an element for `address`, alone or as the first part of a key with protocol and port.
   * False where there is no such set.
   */
  hasElement({ family, table }: TableName, set: string, address: string): Promise<boolean> {
    const what = `elements of ${family} ${table} ${set}`;
    const asked = [named(NFT_TABLE, table), named(NFT_SET.name, set)];
    const needles = valuesOf(address);
    return this.#has({ what, type: NFT_MESSAGE.getElements, family, asked, needles });
  }

  /** Names of the sets and maps of a table, also of those without a name of their own (`__set0`). */
  async setsOf({ family, table }: TableName): Promise<string[]> {
    const what = `sets of ${family} ${table}`;
    const asked = [named(NFT_TABLE, table)];
    const found = await this.#find({ what, type: NFT_MESSAGE.getSet, family, asked });
    return found.map(({ attributes }) => textIn(attributes.get(NFT_SET.name)));
  }

  /** Rules of the chain with any of these texts in them. */
  rulesWith(
    { family, table }: TableName,
    chain: string,
    texts: readonly string[],
  ): Promise<NftObject[]> {
    return this.#find({
      ...{ what: `rules of ${family} ${table} ${chain}`, type: NFT_MESSAGE.getRule, family },
      asked: [named(NFT_TABLE, table), named(NFT_RULE.chain, chain)],
      needles: texts.flatMap(textOf),
    });
  }

  /** Elements of the set or map; the kernel tells many in one message, and those without any of `texts` are left out. */
  async elementsWith(
    { family, table }: TableName,
    set: string,
    texts: readonly string[],
  ): Promise<SetElement[]> {
    const found = await this.#find({
      ...{ what: `elements of ${family} ${table} ${set}`, type: NFT_MESSAGE.getElements, family },
      asked: [named(NFT_TABLE, table), named(NFT_SET.name, set)],
      needles: texts.flatMap(textOf),
    });
    return found.flatMap(elementsIn);
  }

  async #has(search: Search): Promise<boolean> {
    return (await this.#find({ ...search, most: 1 })).length > 0;
  }

  #find(search: Search): Promise<NftObject[]> {
    return findObjects(this.#ask, search);
  }
}

/** Text anywhere in an object, in a comment for example. */
export function textOf(text: string): Uint8Array[] {
  return [Buffer.from(text)];
}

/** The address as a value that a rule compares with, and as the first part of a key, with a port or protocol behind it. */
export function valuesOf(address: string): Uint8Array[] {
  const bytes = addressBytes(address);
  // Each part of a key takes a multiple of four bytes.
  return [0, 4, 8].map((rest) => Buffer.concat([attributeHead(VALUE, bytes.length + rest), bytes]));
}
