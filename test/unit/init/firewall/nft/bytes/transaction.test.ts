import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NftTables } from '../../../../../../init/firewall/nft/backend.ts';
import { expressionsOf } from '../../../../../../init/firewall/nft/bytes/phrases.ts';
import { transactionOf } from '../../../../../../init/firewall/nft/bytes/transaction.ts';
import { UnknownPhraseError } from '../../../../../../init/firewall/nft/bytes/words.ts';
import { NftFallback } from '../../../../../../init/firewall/nft/fallback.ts';
import { NftTcpAffinity } from '../../../../../../init/firewall/nft/tcp-affinity.ts';
import { factsOf } from '../../../../../../init/netlink/expressions.ts';
import { attributesIn, messagesIn, textIn } from '../../../../../../init/netlink/message.ts';
import { NFT_MESSAGE } from '../../../../../../init/netlink/nf-objects.ts';
import { allRules } from '../../../../../../init/plan/desired-rules.ts';
import { planOf } from '../../../../../../init/plan/plan.ts';
import { fakeSystem, PLAN_BASICS } from '../../../fake-system.ts';

const { system } = fakeSystem();
const rules = allRules(
  planOf({
    ...PLAN_BASICS,
    localIps: ['169.254.20.10', '10.96.0.10', 'fd00::10', 'fd00::11'],
    clusterIps: ['10.96.0.10', 'fd00::a'],
  }),
);
const backends = [
  new NftTables(system, undefined),
  new NftFallback(system),
  new NftTcpAffinity(system, () => undefined),
];
const tables = backends.flatMap((backend) => backend.tables(rules));

function written(bytes: Uint8Array) {
  return messagesIn(bytes).map(({ type, body }) => ({
    type,
    attributes: attributesIn(body.subarray(4)),
  }));
}

describe('a transaction of tables', () => {
  const changes = tables.map((table) => ({ table }));

  it('has each rule of every table, with the addresses and the comment of its text', () => {
    const found = written(transactionOf(changes))
      .filter(({ type }) => type === NFT_MESSAGE.newRule)
      .map(({ attributes }) => factsOf({ family: 'inet', attributes }));
    const wanted = tables.flatMap(({ chains }) => chains.flatMap((chain) => chain.rules));
    assert.equal(found.length, wanted.length);
    assert.ok(wanted.length > 30);
    for (const [i, { id }] of wanted.entries()) {
      assert.match(found[i]?.comment ?? '', new RegExp(`^nodens:${id}:[0-9a-f]{8}$`));
      assert.deepEqual(found[i]?.counter, [0, 0], id);
    }
  });

  it('is a batch whose last message is acknowledged; a trial has no end', () => {
    const flags = (bytes: Uint8Array): number[] => {
      const found: number[] = [];
      for (let at = 0; at < bytes.length; at += (Buffer.from(bytes).readUInt32LE(at) + 3) & ~3)
        found.push(Buffer.from(bytes).readUInt16LE(at + 6));
      return found;
    };
    const [whole, trial] = [transactionOf(changes), transactionOf(changes, true)];
    const types = (bytes: Uint8Array) => written(bytes).map(({ type }) => type);
    assert.equal(types(whole)[0], 16);
    assert.equal(types(whole).at(-1), 17);
    assert.deepEqual(types(trial), types(whole).slice(0, -1));
    assert.equal(flags(whole).filter((bits) => (bits & 4) !== 0).length, 1);
    assert.equal((flags(trial).at(-1) ?? 0) & 4, 4);
  });

  it('replaces a table, or keeps its sets and removes what goes', () => {
    const [table] = new NftTcpAffinity(system, () => undefined).tables(rules);
    assert.ok(table);
    const heads = (bytes: Uint8Array) =>
      written(bytes)
        .slice(1, 4)
        .map(({ type, attributes }) => [type, textIn(attributes.get(3) ?? attributes.get(2))]);
    const { newTable, deleteTable, deleteRule, deleteChain, deleteSet } = NFT_MESSAGE;
    const replaced = heads(transactionOf([{ table }])).map(([type]) => type);
    assert.deepEqual(replaced, [newTable, deleteTable, newTable]);
    const going = ['chain old', 'set gone'];
    assert.deepEqual(heads(transactionOf([{ table, going }])), [
      [deleteRule, ''],
      [deleteChain, 'old'],
      [deleteSet, 'gone'],
    ]);
  });

  it('leaves to nft what is not a phrase of these tables', () => {
    const sets = { idOf: () => 1, add: () => 2 };
    for (const text of [
      'dnat ip to numgen random mod 2 map { 0 : 10.0.0.1 . 53 }',
      'udp length 5',
      'ip daddr example.test',
      'meta mark set 5',
      'tcp flags & syn < 0',
      'ip daddr { 10.0.0.1',
    ])
      assert.throws(() => expressionsOf(text, sets), UnknownPhraseError, text);
    assert.equal(expressionsOf('udp dport 53 counter notrack', sets).length, 6);
  });
});
