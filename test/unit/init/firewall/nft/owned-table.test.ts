import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NftTables } from '../../../../../init/firewall/nft/backend.ts';
import { failure, fakeSystem } from '../../fake-system.ts';
import { absent, listing, rules } from './kernel.ts';

describe('nft tables with an owner', () => {
  /** A kernel, and an owner process that creates and drops the owned table. */
  function node() {
    const held = { owned: false };
    const lines: string[] = [];
    const { system } = fakeSystem((command) => {
      if (command.endsWith('inet nodens_query_one'))
        return held.owned ? listing('nodens_query_one', rules.query) : absent(command);
      if (command.endsWith('inet nodens_standing_main'))
        return listing('nodens_standing_main', rules.standing);
      return command.includes('list table') ? absent(command) : undefined;
    });
    const owner = {
      execute: async (line: string) => {
        lines.push(line);
        held.owned = line.includes('add chain');
      },
      drop: async () => {
        held.owned = false;
        lines.push('drop');
      },
    };
    return {
      held,
      lines,
      owner,
      nft: new NftTables(system, { owner, instance: 'one' }),
    };
  }

  it("are created in one line, with the host's query rules", async () => {
    const { lines, nft } = node();
    assert.equal(await nft.apply(rules), true);
    const [line = '', ...others] = lines;
    assert.deepEqual(others, [], 'more than one line: the table is missing in between');
    const table = 'add table inet nodens_query_one { flags owner; }; ';
    assert.ok(
      line.startsWith(`${table}delete table inet nodens_query_one; ${table}add chain inet `),
    );
    assert.match(line, /; add rule inet nodens_query_one output .*query-host-udp4:/);
    assert.doesNotMatch(line, /\n/);
    assert.equal(await nft.apply(rules), false);
  });

  it("are not needed for rules that end with the agent's socket", async () => {
    const { lines, nft } = node();
    const bound = { ...rules, query: rules.query.filter((rule) => rule.whileBound) };
    await assert.rejects(nft.apply(bound), /nodens_query_main/);
    assert.deepEqual(lines, []);
  });

  it('are dropped at once by a release, with their owner', async () => {
    const { held, lines, nft } = node();
    await nft.apply(rules);
    await nft.release();
    assert.equal(held.owned, false);
    assert.equal(lines.at(-1), 'drop');
  });

  it('an apply that a release interrupts is no failure, any other failure is', async () => {
    const { owner, nft } = node();
    const cutOff = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    owner.execute = () => {
      begun.resolve();
      return cutOff.promise;
    };
    const applied = nft.apply(rules);
    await begun.promise;
    await nft.release();
    cutOff.reject(failure('nft -i', 'dropped'));
    await applied;
    owner.execute = async () => {
      throw failure('nft -i', 'no answer');
    };
    await assert.rejects(nft.apply(rules), /no answer/);
  });

  it('are not restored by an apply during a release', async () => {
    const { held, nft } = node();
    const applied = nft.apply(rules);
    await nft.release();
    await applied;
    assert.equal(held.owned, false);
  });
});
