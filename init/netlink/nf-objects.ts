/** Objects of nf_tables as the kernel tells of them: messages, attributes, and how one asks (linux/netfilter/nf_tables.h). */
import { CommandError } from '../node/exec.ts';
import {
  attribute,
  attributesIn,
  FLAGS,
  message,
  messagesIn,
  numberIn,
  textIn,
  valuesIn,
  zeroTerminated,
} from './message.ts';
import type { AskKernel } from './socket.ts';

/** Families of nf_tables by nft's name for them. */
export const FAMILY_NUMBER = { inet: 1, ip: 2, arp: 3, netdev: 5, bridge: 7, ip6: 10 } as const;
type FamilyName = keyof typeof FAMILY_NUMBER;
const HOOKS = ['prerouting', 'input', 'forward', 'output', 'postrouting'];

/** Subsystem 10 of nfnetlink. */
const SUBSYSTEM = 10 << 8;
/** Messages (enum nf_tables_msg_types). The answer to a `get` is the message before it. */
export const NFT_MESSAGE = {
  newTable: SUBSYSTEM,
  getTable: SUBSYSTEM + 1,
  deleteTable: SUBSYSTEM + 2,
  newChain: SUBSYSTEM + 3,
  getChain: SUBSYSTEM + 4,
  deleteChain: SUBSYSTEM + 5,
  newRule: SUBSYSTEM + 6,
  getRule: SUBSYSTEM + 7,
  deleteRule: SUBSYSTEM + 8,
  newSet: SUBSYSTEM + 9,
  getSet: SUBSYSTEM + 10,
  deleteSet: SUBSYSTEM + 11,
  newElements: SUBSYSTEM + 12,
  getElements: SUBSYSTEM + 13,
  deleteElements: SUBSYSTEM + 14,
  getGeneration: SUBSYSTEM + 16,
} as const;

/** Attributes by object. The first is the table's name everywhere. */
export const NFT_TABLE = 1;
export const NFT_OWNED = { flags: 2, owner: 0x2 };
export const NFT_CHAIN = { name: 3, hook: 4, policy: 5, type: 7 };
export const NFT_RULE = { chain: 2, handle: 3, expressions: 4, userData: 7 };
export const NFT_SET = { name: 2, flags: 3, anonymous: 0x1, elements: 3 };
const HOOK = { number: 1, priority: 2 };
const HEADER_BYTES = 4;
const POLICIES = ['drop', 'accept'];

/** A chain that sees packets. */
export interface BaseChain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  readonly type: string;
  readonly hook: string;
  readonly prio: number;
  readonly policy: string;
}

/** A table of any family. */
export interface TableName {
  readonly family: string;
  readonly table: string;
}

/** One object: its attributes by their number. */
export interface NftObject {
  readonly family: FamilyName | undefined;
  readonly attributes: ReadonlyMap<number, Uint8Array>;
}

/** What to look for. */
export interface Search {
  /** For errors: `rules of ip nat`. */
  readonly what: string;
  /** One of `NFT_MESSAGE.get…`. */
  readonly type: number;
  /** As nft calls it; undefined: of all. */
  readonly family?: string | undefined;
  readonly asked?: readonly Uint8Array[];
  /** An object must contain one of these; none: all objects. */
  readonly needles?: readonly Uint8Array[];
  /** An object that contains this is not looked at. */
  readonly without?: Uint8Array;
  /** Objects after which the search ends; 0: all. */
  readonly most?: number;
  /** Whether `asked` names the one object that is asked for, and the kernel shows no other. */
  readonly isOne?: boolean;
}

/** The objects that were found, none where the table or set does not exist. Rejects with `CommandError`. */
export async function findObjects(ask: AskKernel, search: Search): Promise<NftObject[]> {
  const { what, type, family = '', asked = [], needles = [NOTHING], most = 0, isOne } = search;
  const excluded =
    search.without === undefined
      ? []
      : [{ type: type - 1, needle: search.without, excludes: true }];
  const header = Uint8Array.of(FAMILY_NUMBER[family as FamilyName] ?? 0, 0, 0, 0);
  const request = message(type, isOne === true ? FLAGS.one : FLAGS.dump, header, asked);
  const filter = [...needles.map((needle) => ({ type: type - 1, needle })), ...excluded];
  try {
    return messagesIn(await ask({ what, request, filter, most })).map(({ body }) => ({
      family: nameOf(body[0]),
      attributes: attributesIn(body.subarray(HEADER_BYTES)),
    }));
  } catch (error) {
    if (error instanceof CommandError && /\bENOENT\b/.test(error.stderr)) return [];
    throw error;
  }
}

const NOTHING = new Uint8Array(0);

/** A name as an attribute. */
export function named(type: number, text: string): Uint8Array {
  return attribute(type, zeroTerminated(text));
}

function nameOf(number: number | undefined): FamilyName | undefined {
  return (Object.keys(FAMILY_NUMBER) as FamilyName[]).find(
    (name) => FAMILY_NUMBER[name] === number,
  );
}

/** The chain as one that sees packets; undefined where only rules jump to it. */
export function baseChainIn({ family, attributes }: NftObject): BaseChain | undefined {
  const hook = attributes.get(NFT_CHAIN.hook);
  if (family === undefined || hook === undefined) return undefined;
  const hooked = attributesIn(hook);
  const [number, prio] = [HOOK.number, HOOK.priority].map((type) => numberIn(hooked.get(type)));
  return {
    family,
    table: textIn(attributes.get(NFT_TABLE)),
    name: textIn(attributes.get(NFT_CHAIN.name)),
    type: textIn(attributes.get(NFT_CHAIN.type)),
    hook: HOOKS[number ?? -1] ?? '',
    prio: prio ?? 0,
    policy: POLICIES[numberIn(attributes.get(NFT_CHAIN.policy)) ?? 1] ?? '',
  };
}

/** The comment that nft gave a rule, empty where it has none. */
export function commentIn({ attributes }: NftObject): string {
  return commentOf(attributes.get(NFT_RULE.userData));
}

/** User data is a list of type, length and value; in that of rules and elements type 0 is a string with its final zero. */
function commentOf(data: Uint8Array | undefined): string {
  for (let at = 0; data !== undefined && at + 2 <= data.length; ) {
    const [type, length = 0] = data.subarray(at, at + 2);
    if (type === 0) return textIn(data.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return '';
}

/** An element of a set or map. */
export interface SetElement {
  /** Bytes of the key. */
  readonly key: Uint8Array;
  /** Of a map with verdicts: the chain that it leads to, empty where there is none. */
  readonly chain: string;
  readonly comment: string;
}

/** Attributes of an element and of its verdict. */
const ELEMENT = { key: 1, data: 2, userData: 6 };
const DATA = { value: 1, verdict: 2, verdictChain: 2 };

/** The elements in one message. */
export function elementsIn({ attributes }: NftObject): SetElement[] {
  return valuesIn(attributes.get(NFT_SET.elements)).map((bytes) => {
    const element = attributesIn(bytes);
    const verdict = within(within(element, ELEMENT.data), DATA.verdict);
    return {
      key: within(element, ELEMENT.key).get(DATA.value) ?? NOTHING,
      chain: textIn(verdict.get(DATA.verdictChain)),
      comment: commentOf(element.get(ELEMENT.userData)),
    };
  });
}

/** Attributes nested in one of `attributes`. */
export function within(
  attributes: ReadonlyMap<number, Uint8Array>,
  type: number,
): ReadonlyMap<number, Uint8Array> {
  return attributesIn(attributes.get(type) ?? NOTHING);
}
