/**
 * A table of our own as text, read by netlink. nft reads the chains of all tables to show one, and init looks at its tables
 * in every pass and every five seconds.
 */
import { formatAddress } from '../../agent/base/address.ts';
import {
  attributesIn,
  bareAttribute,
  longNumberIn,
  numberIn,
  textIn,
  valuesIn,
  zeroTerminated,
} from './message.ts';
import {
  baseChainIn,
  commentIn,
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

/** Attributes of expressions, and values of theirs. */
const EXPRESSION = { name: 1, data: 2 };
const PAYLOAD = { base: 2, offset: 3, length: 4, networkHeader: 1 };
/** Offset and length of the addresses in IPv4's and IPv6's headers. */
const ADDRESS_PLACES = ['12 4', '16 4', '8 16', '24 16'];
const CONNTRACK = { key: 2 };
/** NFT_CT_SRC, NFT_CT_DST, and these for IPv4 and IPv6. */
const ADDRESS_KEYS = [8, 9, 19, 20, 21, 22];
const COMPARE = { value: 3 };
const LOOKUP = { set: 1 };
const COUNTER = { bytes: 1, packets: 2 };
const ELEMENT_KEY = 1;
const VALUE = 1;

/** What a rule of ours shows: the addresses that it compares with, and what it counted. */
interface RuleText {
  readonly addresses: string[];
  counter: string;
}

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
    const { addresses, counter } = await this.#read(rule);
    const comment = commentIn(rule);
    const parts = [
      ...(addresses.length > 0 ? [`{ ${addresses.join(', ')} }`] : []),
      ...(counter === '' ? [] : [counter]),
      ...(comment === '' ? [] : [`comment "${comment}"`]),
      `# handle ${longNumberIn(rule.attributes.get(NFT_RULE.handle))}`,
    ];
    return parts.join(' ');
  }

  async #read({ attributes }: NftObject): Promise<RuleText> {
    const text: RuleText = { addresses: [], counter: '' };
    /** Whether the expression before has loaded an address of the packet. */
    let isLoaded = false;
    for (const expression of valuesIn(attributes.get(NFT_RULE.expressions))) {
      const [name, data] = partsOf(expression);
      if (name === 'cmp' && isLoaded) text.addresses.push(...addressIn(data.get(COMPARE.value)));
      else if (name === 'lookup' && isLoaded)
        text.addresses.push(...(await this.#addressesOf(textIn(data.get(LOOKUP.set)))));
      else if (name === 'counter') text.counter = counterText(data);
      isLoaded = isAddressLoad(name, data);
    }
    return text;
  }

  /** Addresses in a set without a name of its own; of keys with other parts none. */
  async #addressesOf(set: string): Promise<string[]> {
    if (!set.startsWith('__set')) return [];
    const found = await this.#find({
      ...{ what: `elements of ${set}`, type: NFT_MESSAGE.getElements },
      asked: [named(NFT_TABLE, this.#table), named(NFT_SET.name, set)],
    });
    return found
      .flatMap(({ attributes }) => valuesIn(attributes.get(NFT_SET.elements)))
      .flatMap((element) => addressIn(attributesIn(element).get(ELEMENT_KEY)));
  }

  #find(search: Search): Promise<NftObject[]> {
    const asked = [named(NFT_TABLE, this.#table)];
    return findObjects(this.#ask, { asked, ...search, family: FAMILY });
  }
}

function isNamed({ attributes }: NftObject): boolean {
  return ((numberIn(attributes.get(NFT_SET.flags)) ?? 0) & NFT_SET.anonymous) === 0;
}

function partsOf(expression: Uint8Array): [name: string, data: ReadonlyMap<number, Uint8Array>] {
  const parts = attributesIn(expression);
  const data = parts.get(EXPRESSION.data);
  return [
    textIn(parts.get(EXPRESSION.name)),
    data === undefined ? new Map<number, Uint8Array>() : attributesIn(data),
  ];
}

function isAddressLoad(name: string, data: ReadonlyMap<number, Uint8Array>): boolean {
  const number = (type: number): number => numberIn(data.get(type)) ?? 0;
  if (name === 'ct') return ADDRESS_KEYS.includes(number(CONNTRACK.key));
  return (
    name === 'payload' &&
    number(PAYLOAD.base) === PAYLOAD.networkHeader &&
    ADDRESS_PLACES.includes(`${number(PAYLOAD.offset)} ${number(PAYLOAD.length)}`)
  );
}

function addressIn(data: Uint8Array | undefined): string[] {
  const value = data === undefined ? undefined : attributesIn(data).get(VALUE);
  return value?.length === 4 || value?.length === 16 ? [formatAddress(value)] : [];
}

function counterText(data: ReadonlyMap<number, Uint8Array>): string {
  const [packets, bytes] = [COUNTER.packets, COUNTER.bytes].map((type) =>
    longNumberIn(data.get(type)),
  );
  return `counter packets ${packets} bytes ${bytes}`;
}
