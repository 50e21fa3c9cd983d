/** What the expressions of a rule say: addresses, counters, comments of iptables (linux/netfilter/nf_tables.h). */
import { formatAddress } from '../../agent/base/address.ts';
import { attributesIn, longNumberIn, numberIn, textIn, valuesIn } from './message.ts';
import { commentIn, NFT_RULE, type NftObject, within } from './nf-objects.ts';

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
/** A match of iptables: its name, and its own data. */
const MATCH = { name: 1, info: 3 };
const VALUE = 1;

type Attributes = ReadonlyMap<number, Uint8Array>;

/** What a rule says. */
export interface RuleFacts {
  /** Addresses of packets that it compares with. */
  readonly addresses: readonly string[];
  /** Sets in which it looks up an address alone or with what follows. */
  readonly sets: readonly string[];
  /** Packets and bytes; undefined where it does not count. */
  readonly counter: readonly [packets: number, bytes: number] | undefined;
  /** The comment of nft or iptables, empty where there is none. */
  readonly comment: string;
}

/** Reads the expressions of a rule. */
export function factsOf(rule: NftObject): RuleFacts {
  const [addresses, sets]: [string[], string[]] = [[], []];
  let counter: RuleFacts['counter'];
  let comment = commentIn(rule);
  /** Whether the expression before has loaded an address of the packet. */
  let isLoaded = false;
  for (const expression of valuesIn(rule.attributes.get(NFT_RULE.expressions))) {
    const parts = attributesIn(expression);
    const [name, data] = [textIn(parts.get(EXPRESSION.name)), within(parts, EXPRESSION.data)];
    if (name === 'cmp' && isLoaded) addresses.push(...addressIn(within(data, COMPARE.value)));
    else if (name === 'lookup' && isLoaded) sets.push(textIn(data.get(LOOKUP.set)));
    else if (name === 'counter')
      counter = [longNumberIn(data.get(COUNTER.packets)), longNumberIn(data.get(COUNTER.bytes))];
    else if (name === 'match' && textIn(data.get(MATCH.name)) === 'comment')
      comment ||= textIn(data.get(MATCH.info));
    isLoaded = isAddressLoad(name, data);
  }
  return { addresses, sets, counter, comment };
}

function isAddressLoad(name: string, data: Attributes): boolean {
  const number = (type: number): number => numberIn(data.get(type)) ?? 0;
  if (name === 'ct') return ADDRESS_KEYS.includes(number(CONNTRACK.key));
  return (
    name === 'payload' &&
    number(PAYLOAD.base) === PAYLOAD.networkHeader &&
    ADDRESS_PLACES.includes(`${number(PAYLOAD.offset)} ${number(PAYLOAD.length)}`)
  );
}

function addressIn(data: Attributes): string[] {
  return addressOf(data.get(VALUE));
}

/** The address that these bytes are; none where they are something else. */
export function addressOf(value: Uint8Array | undefined): string[] {
  return value?.length === 4 || value?.length === 16 ? [formatAddress(value)] : [];
}
