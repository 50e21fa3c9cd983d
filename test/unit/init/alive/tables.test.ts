import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { aliveTable } from '../../../../init/alive/table.ts';
import { AliveTables, type LendTable } from '../../../../init/alive/tables.ts';
import { tableText } from '../../../../init/firewall/nft/table.ts';
import { planOf } from '../../../../init/plan/plan.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { failure, fakeLog, fakeSystem, PLAN_BASICS } from '../fake-system.ts';

const ALIVE = { port: 53, mark: 0x40, addresses: ['169.254.20.10'] };
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
    return printed(tableText(aliveTable(id, ALIVE)));
  });
  const { log, lines } = fakeLog();
  const clock = new FakeClock();
  const tables = new AliveTables({
    alive: ALIVE,
    clock,
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
  const isBound = async (): Promise<boolean> => {
    const bound = await tables.bind(rules);
    return bound !== rules && bound.query.every((rule) => rule.aliveMark === ALIVE.mark);
  };
  return { tables, lent, lines, state, clock, isBound };
}

describe('tables of agents that are alive', () => {
  it('bind the query rules from the first herald to the end of the last', async () => {
    const { tables, lent, state, isBound } = setUp();
    assert.equal(await tables.bind(rules), rules);
    const [first, second] = [{}, {}];
    tables.add(first, () => 7);
    assert.ok(await isBound(), 'rules wait for a table that is being made');
    tables.add(second, () => 9);
    assert.ok(await isBound());
    assert.deepEqual([lent, state.firsts], [[7, 9], 1]);
    assert.equal(tables.remove(first), false);
    assert.ok(await isBound());
    assert.equal(tables.remove(second), true);
    assert.equal(await tables.bind(rules), rules);
    assert.equal(tables.remove(second), false);
  });

  it('bind nothing where none can be lent, and ask nobody', async () => {
    const { tables, lines } = setUp('without');
    tables.add({}, () => 7);
    assert.equal(await tables.bind(rules), rules);
    assert.deepEqual(lines, []);
  });

  it('are made one after the other, and for nobody who has gone meanwhile', async () => {
    const going = Promise.withResolvers<void>();
    const { tables, lent } = setUp(() => going.promise);
    const [first, second, third] = [{}, {}, {}];
    tables.add(first, () => 7);
    tables.add(second, () => 8);
    tables.add(third, () => 9);
    tables.remove(second);
    going.resolve();
    await tables.bind(rules);
    assert.deepEqual(lent, [7, 9]);
  });

  it('that the kernel does not take are tried again, and told of once', async () => {
    const faults = [new Error('EPERM'), new Error('EPERM'), undefined];
    const { tables, lines, clock, isBound } = setUp(async () => {
      const fault = faults.shift();
      if (fault !== undefined) throw fault;
    });
    tables.add({}, () => 7);
    assert.equal(await isBound(), false);
    await clock.advance(30_000);
    assert.equal(await isBound(), false);
    assert.equal(lines.length, 1);
    assert.match(lines[0] ?? '', /^warn query rules of the host do not end with the agent/);
    await clock.advance(30_000);
    assert.ok(await isBound());
    assert.deepEqual(lines.slice(1), ['info the kernel knows that an agent is alive']);
  });

  it('do not count where the kernel does not hold what it took', async () => {
    const { tables, lent, lines, state, clock, isBound } = setUp();
    state.holds = false;
    tables.add({}, () => 7);
    assert.equal(await isBound(), false);
    assert.equal(lines.length, 1);
    state.holds = true;
    await clock.advance(30_000);
    assert.ok(await isBound());
    assert.deepEqual(lent, [7], 'looked for again, not lent again');
  });

  it('that cannot be lent because a herald is ending are no news', async () => {
    const herald = {};
    const made = setUp(async () => {
      setImmediate(() => made.tables.remove(herald));
      throw new Error('EBADF');
    });
    made.tables.add(herald, () => -1);
    assert.equal(await made.isBound(), false);
    assert.deepEqual(made.lines, []);
  });

  it('a herald that ends while its table is made was never there', async () => {
    const going = Promise.withResolvers<void>();
    const { tables, lines, state, isBound } = setUp(() => going.promise);
    const herald = {};
    tables.add(herald, () => 7);
    await Promise.resolve();
    assert.equal(tables.remove(herald), false);
    state.holds = false;
    going.resolve();
    assert.equal(await isBound(), false);
    assert.deepEqual([lines, state.firsts], [[], 0]);
  });
});
