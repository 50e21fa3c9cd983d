/**
 * A table of our own as text, read by netlink. nft reads the chains of all tables to show one, and init looks at its tables
 * in every pass and every five seconds.
 */
import { addressOf, factsOf } from './expressions.ts';
import { bareAttribute, longNumberIn, numberIn, textIn, zeroTerminated } from './message.ts';
import {
  baseChainIn,
  elementsIn,
  findObjects,
  NFT_CHAIN,
  NFT_MESSAGE,
  NFT_OWNED,
  NFT_RULE,
  NFT_SET,
  NFT_TABLE,
  type NftObject,
  named,
  type Search,
} from './nf-objects.ts';
import type { AskKernel } from './socket.ts';

const FAMILY = 'inet';
/** How often a table is read again because rules of the node changed meanwhile. kube-proxy may change some all the time. */
const ATTEMPTS = 5;

/**
 * The table of family inet in the words of `nft list table`, undefined where it does not exist: its named sets, its chains
 * with hook and priority, and of each rule the addresses that it compares with, counter, comment and handle. Of an expression
 * that does something with an address, as NAT does, it shows none. Rejects with `CommandError`.
 */
export async function heldTable(ask: AskKernel, table: string): Promise<string | undefined> {
  let before = await transactionNumber(ask);
  for (let attempt = 1; ; attempt++) {
    const text = await new TableReader(ask, table).read();
    const after = await transactionNumber(ask);
    if (after === before || attempt === ATTEMPTS) return text;
    before = after;
  }
}

/** Changes with every transaction. */
async function transactionNumber(ask: AskKernel): Promise<number | undefined> {
  const search = { what: 'number of transactions', type: NFT_MESSAGE.getGeneration, isOne: true };
  const [found] = await findObjects(ask, search);
  return numberIn(found?.attributes.get(1));
}

class TableReader {
  readonly #ask: AskKernel;
  readonly #table: string;

  constructor(ask: AskKernel, table: string) {
    this.#ask = ask;
    this.#table = table;
  }

  async read(): Promise<string | undefined> {
    const what = `table ${FAMILY} ${this.#table}`;
    const [table] = await this.#find({ what, type: NFT_MESSAGE.getTable, isOne: true });
    if (table === undefined) return undefined;
    const isOwned =
      ((numberIn(table.attributes.get(NFT_OWNED.flags)) ?? 0) & NFT_OWNED.owner) !== 0;
    const sets = await this.#find({ what: `sets of ${what}`, type: NFT_MESSAGE.getSet });
    const chains = (
      await this.#find({
        ...{ what: `chains of ${what}`, type: NFT_MESSAGE.getChain },
        needles: [bareAttribute(NFT_TABLE, zeroTerminated(this.#table))],
      })
    ).filter(({ attributes }) => textIn(attributes.get(NFT_TABLE)) === this.#table);
    const rules = await this.#find({ what: `rules of ${what}`, type: NFT_MESSAGE.getRule });
    const blocks = [
      ...(isOwned ? ['\tflags owner\n'] : []),
      ...sets
        .filter(isNamed)
        .map((set) => `\tset ${textIn(set.attributes.get(NFT_SET.name))} {\n\t}\n`),
    ];
    for (const chain of chains) blocks.push(await this.#chainText(chain, rules));
    return `table ${FAMILY} ${this.#table} {\n${blocks.join('')}}\n`;
  }

  async #chainText(chain: NftObject, rules: readonly NftObject[]): Promise<string> {
    const name = textIn(chain.attributes.get(NFT_CHAIN.name));
    const base = baseChainIn(chain);
    const lines =
      base === undefined
        ? []
        : [`type ${base.type} hook ${base.hook} priority ${base.prio}; policy ${base.policy};`];
    for (const rule of rules)
      if (textIn(rule.attributes.get(NFT_RULE.chain)) === name) lines.push(await this.#line(rule));
    return `\tchain ${name} {\n${lines.map((line) => `\t\t${line}\n`).join('')}\t}\n`;
  }

  async #line(rule: NftObject): Promise<string> {
    const { addresses, sets, counter, comment } = factsOf(rule);
    const all = [...addresses];
    for (const set of sets) all.push(...(await this.#addressesOf(set)));
    const parts = [
      ...(all.length > 0 ? [`{ ${all.join(', ')} }`] : []),
      ...(counter === undefined ? [] : [`counter packets ${counter[0]} bytes ${counter[1]}`]),
      ...(comment === '' ? [] : [`comment "${comment}"`]),
      `# handle ${longNumberIn(rule.attributes.get(NFT_RULE.handle))}`,
    ];
    return parts.join(' ');
  }

  /** Addresses in a set without a name of its own; of keys with other parts none. */
  async #addressesOf(set: string): Promise<string[]> {
    if (!set.startsWith('__set')) return [];
    const found = await this.#find({
      ...{ what: `elements of ${set}`, type: NFT_MESSAGE.getElements },
      asked: [named(NFT_TABLE, this.#table), named(NFT_SET.name, set)],
    });
    return found.flatMap(elementsIn).flatMap(({ key }) => addressOf(key));
  }

  #find(search: Search): Promise<NftObject[]> {
    const asked = [named(NFT_TABLE, this.#table)];
    return findObjects(this.#ask, { asked, ...search, family: FAMILY });
  }
}

function isNamed({ attributes }: NftObject): boolean {
  return ((numberIn(attributes.get(NFT_SET.flags)) ?? 0) & NFT_SET.anonymous) === 0;
}
