/** nf_tables as messages: answers questions as the kernel does (net/netfilter/nf_tables_api.c) and filters as the addon. */

import {
  attribute,
  attributesIn,
  type FilterEntry,
  FLAGS,
  message,
  messagesIn,
  textIn,
  zeroTerminated,
} from '../../../../init/netlink/message.ts';
import { NFT_MESSAGE } from '../../../../init/netlink/nf-objects.ts';
import { NfTables } from '../../../../init/netlink/nf-tables.ts';
import type { AskKernel, Question } from '../../../../init/netlink/socket.ts';
import { CommandError } from '../../../../init/node/exec.ts';

export interface FakeChain {
  readonly type?: string;
  readonly hook?: number;
  readonly prio?: number;
  readonly policy?: 'accept' | 'drop';
  /** Rules by what is in them: a comment of nft, or bytes of an address that they compare with. */
  readonly rules?: readonly FakeRule[];
}

export interface FakeRule {
  readonly comment?: string;
  readonly address?: readonly number[];
}

export interface FakeTable {
  readonly chains?: Readonly<Record<string, FakeChain>>;
  /** Keys of elements. */
  readonly sets?: Readonly<Record<string, readonly (readonly number[])[]>>;
}

/** Tables by `family name`. */
export type FakeTables = Readonly<Record<string, FakeTable>>;

const FAMILIES: Readonly<Record<string, number>> = { inet: 1, ip: 2, bridge: 7, ip6: 10 };
const text = (type: number, value: string): Uint8Array => attribute(type, zeroTerminated(value));

function big(value: number, bytes: 4 | 8): Uint8Array {
  const buffer = Buffer.alloc(bytes);
  buffer.writeInt32BE(value, bytes - 4);
  return buffer;
}

function value(bytes: readonly number[]): Uint8Array {
  return attribute(1, Uint8Array.from(bytes));
}

function chainAttributes(name: string, chain: FakeChain): Uint8Array[] {
  const hook = [attribute(1, big(chain.hook ?? 0, 4)), attribute(2, big(chain.prio ?? 0, 4))];
  const policy = chain.policy === 'drop' ? 0 : 1;
  return [
    text(3, name),
    ...(chain.type === undefined
      ? []
      : [attribute(4, Buffer.concat(hook)), attribute(5, big(policy, 4)), text(7, chain.type)]),
  ];
}

function ruleAttributes(chain: string, rule: FakeRule, handle: number): Uint8Array[] {
  const comment = zeroTerminated(rule.comment ?? '');
  const userData = Buffer.concat([Uint8Array.of(0, comment.length), comment]);
  // As nested as it is in a rule: the filter looks for bytes, not for places.
  const compared = rule.address === undefined ? [] : [attribute(4, value(rule.address))];
  return [
    text(2, chain),
    attribute(3, big(handle, 8)),
    ...compared,
    ...(rule.comment === undefined ? [] : [attribute(7, userData)]),
  ];
}

function messagesOf(tables: FakeTables): Uint8Array[] {
  return Object.entries(tables).flatMap(([name, { chains = {}, sets = {} }]) => {
    const [family = '', table = ''] = name.split(' ');
    const one = (type: number, attributes: Uint8Array[]): Uint8Array =>
      message(type, 0, Uint8Array.of(FAMILIES[family] ?? 0, 0, 0, 0), [
        text(1, table),
        ...attributes,
      ]);
    return [
      one(NFT_MESSAGE.newTable, []),
      ...Object.entries(chains).flatMap(([chain, given]) => [
        one(NFT_MESSAGE.newChain, chainAttributes(chain, given)),
        ...(given.rules ?? []).map((rule, i) =>
          one(NFT_MESSAGE.newRule, ruleAttributes(chain, rule, i + 1)),
        ),
      ]),
      ...Object.entries(sets).flatMap(([set, keys]) => [
        one(NFT_MESSAGE.newSet, [text(2, set)]),
        one(NFT_MESSAGE.newElements, [
          text(2, set),
          ...keys.map((key) => attribute(3, value(key))),
        ]),
      ]),
    ];
  });
}

/** Chains are dumped for a family, whatever the table; of other objects only those that match what was asked. */
function isAsked(type: number, asked: Map<number, Uint8Array>, body: Uint8Array): boolean {
  const has = attributesIn(body.subarray(4));
  return (
    type === NFT_MESSAGE.getChain ||
    [...asked].every(([key, wanted]) => textIn(has.get(key)) === textIn(wanted))
  );
}

function passes(filter: readonly FilterEntry[], bytes: Uint8Array): boolean {
  const [found] = messagesIn(bytes);
  const fitting = filter.filter(
    ({ type, needle }) =>
      found?.type === type && Buffer.from(found.body).indexOf(Buffer.from(needle)) !== -1,
  );
  return fitting.length > 0 && !fitting.some(({ excludes }) => excludes === true);
}

/** A kernel with these tables, and what it was asked. */
export function fakeKernel(tables: FakeTables): { nfTables: NfTables; asked: string[] } {
  const all = messagesOf(tables);
  const asked: string[] = [];
  const ask: AskKernel = async ({ what, request, filter, most }: Question) => {
    asked.push(what);
    const [question] = messagesIn(request);
    if (question === undefined) throw new Error('no request');
    const { type, body } = question;
    const wanted = attributesIn(body.subarray(4));
    const isDump = Buffer.from(request).readUInt16LE(6) === FLAGS.dump;
    const found = all.filter((one) => {
      const [held] = messagesIn(one);
      if (held === undefined || held.type !== type - 1) return false;
      if (body[0] !== 0 && body[0] !== held.body[0]) return false;
      return isDump
        ? isAsked(type, wanted, held.body)
        : [...wanted].every(([key, bytes]) => {
            const has = attributesIn(held.body.subarray(4)).get(key);
            return textIn(has) === textIn(bytes);
          });
    });
    const isGone = found.length === 0 && (!isDump || type === NFT_MESSAGE.getElements);
    if (isGone)
      throw new CommandError(`netlink: ${what}`, undefined, 'netlink ENOENT: No such file');
    const passed = found.filter((one) => passes(filter, one));
    return Buffer.concat(most > 0 ? passed.slice(0, most) : passed);
  };
  return { nfTables: new NfTables(ask), asked };
}
