import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ReadBackError } from '../../../../../init/firewall/backend.ts';
import { NftAccepts } from '../../../../../init/firewall/nft/accept.ts';
import { nftComment } from '../../../../../init/firewall/nft/backend.ts';
import { NO_RULES } from '../../../../../init/plan/plan.ts';
import { fakeSystem, type Script } from '../../fake-system.ts';
import { fakeKernel } from '../../netlink/fake-kernel.ts';
import { rules, writes } from './kernel.ts';

describe('ACCEPT rules of nft', () => {
  const chain = (family: string, table: string, name: string, hook: string, policy: string) => ({
    chain: { family, table, name, type: 'filter', hook, prio: 0, policy },
  });

  /** Chains of a node, and the comments of rules inside them. */
  function node(
    chains: ReturnType<typeof chain>[],
    comments: Readonly<Record<string, readonly string[]>>,
  ): Script {
    return (command) => {
      if (command === 'nft -j list chains') return JSON.stringify({ nftables: chains });
      const name = /^nft -j list chain (.*)$/.exec(command)?.[1];
      if (name === undefined) return undefined;
      const list = (comments[name] ?? []).map((comment, handle) => ({ rule: { handle, comment } }));
      return JSON.stringify({ nftables: list });
    };
  }

  it('are in no table of nodens or iptables', async () => {
    const { system, calls } = fakeSystem(
      node(
        [
          chain('inet', 'nodens_standing_main', 'output', 'output', 'accept'),
          chain('ip', 'filter', 'INPUT', 'input', 'drop'),
          chain('bridge', 'b', 'in', 'input', 'drop'),
          chain('inet', 'fw', 'fwd', 'forward', 'drop'),
        ],
        {},
      ),
    );
    assert.equal(await new NftAccepts(system).apply(rules), false);
    assert.equal(calls.length, 1);
  });

  it("are inserted where the policy drops, only those of the chain's family", async () => {
    const wanted = rules.accept.filter((r) => r.hook === 'input' && r.family === 6);
    let written = false;
    const chains = [chain('ip6', 'fw', 'in', 'input', 'drop')];
    const { system, calls } = fakeSystem((command, input) => {
      written ||= command === 'nft -f -';
      return node(chains, { 'ip6 fw in': written ? wanted.map(nftComment) : ['theirs'] })(
        command,
        input,
      );
    });
    assert.equal(await new NftAccepts(system).apply(rules), true);
    const lines = writes(calls).join('').trim().split('\n');
    assert.equal(lines.length, wanted.length);
    for (const line of lines)
      assert.match(line, /^insert rule ip6 fw in .*fd00::a.* accept comment/);
  });

  it('are removed when the policy does not drop any more', async () => {
    let written = false;
    const chains = [chain('inet', 'fw', 'in', 'input', 'accept')];
    const { system, calls } = fakeSystem((command, input) => {
      written ||= command === 'nft -f -';
      return node(chains, { 'inet fw in': written ? ['theirs'] : ['theirs', 'nodens:x:y'] })(
        command,
        input,
      );
    });
    await new NftAccepts(system).apply(rules);
    assert.deepEqual(writes(calls), ['delete rule inet fw in handle 1\n']);
    assert.equal(await new NftAccepts(system).apply(NO_RULES), false);
  });

  it('of another version are replaced once, and later stay beside ours', async () => {
    const wanted = rules.accept.filter((rule) => rule.hook === 'input').map(nftComment);
    const present = { 'inet fw in': ['nodens:other:0'] };
    const chains = [chain('inet', 'fw', 'in', 'input', 'drop')];
    const { system, calls } = fakeSystem((command, input) => {
      if (command === 'nft -f -') present['inet fw in'] = wanted;
      return node(chains, present)(command, input);
    });
    const accepts = new NftAccepts(system);
    assert.equal(await accepts.apply(rules), true);
    assert.match(writes(calls)[0] ?? '', /^delete rule inet fw in handle 0\n/);
    present['inet fw in'] = [...wanted, 'nodens:other:0'];
    assert.equal(await accepts.apply(rules), false);
    present['inet fw in'] = ['nodens:other:0'];
    assert.equal(await accepts.apply(rules), true);
    assert.doesNotMatch(writes(calls)[1] ?? '', /delete/);
    chains[0] = chain('inet', 'fw', 'in', 'input', 'accept');
    await assert.rejects(accepts.apply(rules), ReadBackError);
    assert.match(writes(calls)[2] ?? '', /^(delete rule inet fw in handle \d+\n)+$/);
  });
});

it('another version may restore its ACCEPT rules during a write without a failure', async () => {
  const wanted = rules.accept.filter((rule) => rule.hook === 'input').map(nftComment);
  let comments = ['nodens:other:0'];
  const fw = { family: 'inet', table: 'fw', name: 'in', type: 'filter', hook: 'input', prio: 0 };
  const { system, calls } = fakeSystem((command) => {
    if (command === 'nft -f -') comments = [...wanted, 'nodens:other:0'];
    if (command === 'nft -j list chains')
      return JSON.stringify({ nftables: [{ chain: { ...fw, policy: 'drop' } }] });
    const list = comments.map((comment, handle) => ({ rule: { handle, comment } }));
    return JSON.stringify({ nftables: list });
  });
  assert.equal(await new NftAccepts(system).apply(rules), true);
  assert.equal(writes(calls).length, 1);
});

it('asks the kernel for base chains and our rules where it can, and no program', async () => {
  const wanted = rules.accept.filter((rule) => rule.hook === 'input').map(nftComment);
  const own = [...wanted, 'nodens:other:0'].map((comment) => ({ comment }));
  const input = { type: 'filter', hook: 1, policy: 'drop', rules: own } as const;
  const { nfTables } = fakeKernel({
    'inet fw': { chains: { input, theirs: { rules: [{ comment: 'nodens:no:0' }] } } },
    'ip filter': { chains: { INPUT: { ...input, rules: [] } } },
  });
  const { system, calls } = fakeSystem();
  const accepts = new NftAccepts({ ...system, nfTables });
  assert.equal(await accepts.apply(rules), true);
  const deletion = `delete rule inet fw input handle ${own.length}\n`;
  assert.match(writes(calls)[0] ?? '', new RegExp(deletion));
  assert.equal(calls.length, 1);
});
