import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { aliveTable } from '../../../../init/alive/table.ts';
import { AliveTables, type LendTable } from '../../../../init/alive/tables.ts';
import { tableText } from '../../../../init/nft-table.ts';
import { planOf, type RuleSet } from '../../../../init/plan.ts';
import { failure, fakeLog, fakeSystem, PLAN_BASICS } from '../fake-system.ts';

const MARK = { port: 53, mark: 0x2000 };
const { rules } = planOf({ ...PLAN_BASICS, localIps: ['169.254.20.10'] });

/** What nft prints of a table: handles at the end of each line. */
const printed = (text: string): string =>
  text.replaceAll(/^(.*comment "[^"]*")$/gm, '$1 # handle 3');

/** A kernel that holds what was lent, until it is told to lose it. */
function setUp(lend: LendTable | 'without' = async () => undefined) {
  const lent: number[] = [];
  const state = { holds: true, firsts: 0 };
  const { system } = fakeSystem((command) => {
    const id = /nodens_alive_([0-9a-f]{8})$/.exec(command)?.[1] ?? '';
    if (!state.holds) return failure(command, 'Error: No such file or directory\n');
    return printed(tableText(aliveTable(id, MARK)));
  });
  const { log, lines } = fakeLog();
  const tables = new AliveTables({
    ...MARK,
    lend:
      lend === 'without'
        ? undefined
        : async (batch, descriptor) => {
            await lend(batch, descriptor);
            lent.push(descriptor);
          },
    run: system.run,
    log,
    onFirst: () => state.firsts++,
  });
  return { tables, lent, lines, state };
}

const isBound = (bound: RuleSet): boolean => bound.query.every((rule) => rule.aliveMark === 0x2000);

describe('tables of agents that are alive', () => {
  it('bind the query rules from the first herald to the end of the last', async () => {
    const { tables, lent, state } = setUp();
    assert.equal(tables.bind(rules), rules);
    const [first, second] = [{}, {}];
    await tables.add(first, 7);
    assert.ok(isBound(tables.bind(rules)));
    await tables.add(second, 9);
    assert.deepEqual([lent, state.firsts], [[7, 9], 1]);
    assert.equal(tables.remove(first), false);
    assert.ok(isBound(tables.bind(rules)));
    assert.equal(tables.remove(second), true);
    assert.equal(tables.bind(rules), rules);
    assert.equal(tables.remove(second), false);
  });

  it('bind nothing where none can be lent, and ask nobody', async () => {
    const { tables, lines } = setUp('without');
    await tables.add({}, 7);
    assert.equal(tables.bind(rules), rules);
    assert.deepEqual(lines, []);
  });

  it('say once why the kernel takes none, and again after it took one', async () => {
    const faults = [new Error('EPERM'), new Error('EPERM'), undefined, new Error('EPERM')];
    const { tables, lines } = setUp(async () => {
      const fault = faults.shift();
      if (fault !== undefined) throw fault;
    });
    for (const total of [1, 1, 1, 2]) {
      await tables.add({}, 7);
      assert.equal(lines.length, total);
    }
    assert.match(lines[0] ?? '', /^warn the host's query rules outlive the agent/);
    assert.ok(isBound(tables.bind(rules)), 'the third counts');
  });

  it('do not count where the kernel does not hold what it took', async () => {
    const { tables, lines, state } = setUp();
    state.holds = false;
    await tables.add({}, 7);
    assert.equal(tables.bind(rules), rules);
    assert.equal(lines.length, 1);
  });

  it('a herald that ends while its table is made was never there', async () => {
    const going = Promise.withResolvers<void>();
    const { tables, lines, state } = setUp(() => going.promise);
    const herald = {};
    const added = tables.add(herald, 7);
    assert.equal(tables.remove(herald), false);
    state.holds = false;
    going.resolve();
    await added;
    assert.equal(tables.bind(rules), rules);
    assert.deepEqual([lines, state.firsts], [[], 0]);
  });
});
