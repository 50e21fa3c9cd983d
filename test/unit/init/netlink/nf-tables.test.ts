import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { textOf, valuesOf } from '../../../../init/netlink/nf-tables.ts';
import { askBy } from '../../../../init/netlink/socket.ts';
import { CommandError } from '../../../../init/node/exec.ts';
import { fakeKernel } from './fake-kernel.ts';

const VIP = [10, 96, 0, 10];

describe('questions to nf_tables', () => {
  const { nfTables } = fakeKernel({
    'ip nat': {
      chains: {
        OUTPUT: { type: 'nat', hook: 3, prio: -100, policy: 'accept' },
        'KUBE-SERVICES': { rules: [{ address: VIP }, { comment: 'theirs' }] },
      },
    },
    'inet fw': {
      chains: {
        input: {
          ...({ type: 'filter', hook: 1, prio: -5, policy: 'drop' } as const),
          rules: [{ comment: 'theirs nodens:x' }, { comment: 'nodens:x:y' }],
        },
      },
      sets: { plain: [VIP], keys: [[...VIP, 17, 0, 0, 0, 0, 53, 0, 0]] },
    },
  });
  const nat = { family: 'ip', table: 'nat' };
  const fw = { family: 'inet', table: 'fw' };

  it('base chains have family, hook, priority and policy, and no other chain is one', async () => {
    const input = { ...fw, name: 'input', type: 'filter', hook: 'input', prio: -5, policy: 'drop' };
    assert.deepEqual(await nfTables.baseChains(['filter']), [input]);
    assert.equal((await nfTables.baseChains()).length, 2);
  });

  it('chains and tables are found by their names', async () => {
    assert.deepEqual(await nfTables.chainsOf(nat), ['OUTPUT', 'KUBE-SERVICES']);
    assert.deepEqual(await nfTables.chainsOf({ family: 'ip', table: 'na' }), []);
    assert.equal(await nfTables.hasChain(nat, 'KUBE-SERVICES'), true);
    assert.equal(await nfTables.hasChain(nat, 'KUBE-SERVICE'), false);
    assert.equal(await nfTables.hasTable(nat), true);
    assert.equal(await nfTables.hasTable({ family: 'ip6', table: 'nat' }), false);
    assert.equal(await nfTables.hasChainLike('ip', 'KUBE-'), true);
    assert.equal(await nfTables.hasChainLike('ip6', 'KUBE-'), false);
  });

  it('rules are found by their comment, with the handle that deletes them', async () => {
    assert.deepEqual(await nfTables.commentedRules(fw, 'input', 'nodens:'), [
      { ...fw, chain: 'input', handle: 2, comment: 'nodens:x:y' },
    ]);
    assert.deepEqual(await nfTables.commentedRules(fw, 'output', 'nodens:'), []);
    assert.equal(await nfTables.hasRule(nat, textOf('theirs')), true);
    assert.equal(await nfTables.hasRule(nat, textOf('theirs'), 'OUTPUT'), false);
  });

  it('addresses are found in rules, in sets and in the keys of maps, whole ones only', async () => {
    assert.equal(await nfTables.hasRule(nat, valuesOf('10.96.0.10')), true);
    assert.equal(await nfTables.hasRule(nat, valuesOf('10.96.0.1')), false);
    assert.equal(await nfTables.hasElement(fw, 'plain', '10.96.0.10'), true);
    assert.equal(await nfTables.hasElement(fw, 'keys', '10.96.0.10'), true);
    assert.equal(await nfTables.hasElement(fw, 'keys', '10.96.0.11'), false);
    assert.equal(await nfTables.hasElement(fw, 'absent', '10.96.0.10'), false);
    assert.deepEqual(await nfTables.setsOf(fw), ['plain', 'keys']);
  });
});

describe('a question by the addon', () => {
  const question = { what: 'chains', request: new Uint8Array(20), filter: [], most: 0 };
  const failing = (code: string, times: number) => {
    let asked = 0;
    const ask = askBy({
      queryNetlink: async () => {
        if (++asked <= times) throw Object.assign(new Error(`netlink ${code}: no`), { code });
        return new Uint8Array(0);
      },
    });
    return { answer: () => ask(question), asked: () => asked };
  };

  it('is repeated where the answer changed while it was read, but not for ever', async () => {
    const twice = failing('EINTR', 2);
    assert.equal((await twice.answer()).length, 0);
    assert.equal(twice.asked(), 3);
    const always = failing('EINTR', 1_000);
    await assert.rejects(always.answer(), CommandError);
    assert.equal(always.asked(), 20);
  });

  it('fails as programs do, with what was asked and why', async () => {
    const { answer, asked } = failing('EPERM', 1);
    await assert.rejects(answer(), /^CommandError: netlink: chains: netlink EPERM: no$/);
    assert.equal(asked(), 1);
  });
});
