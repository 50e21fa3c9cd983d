/** The targets of `npm run fuzz` without the search: the seeds, earlier findings, and the same changes each time. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Search, type Target } from '../fuzz/loop.ts';
import { TARGETS } from '../fuzz/targets/index.ts';

const INPUTS = 3_000;

describe('readers of foreign input', () => {
  for (const [name, target] of TARGETS) {
    it(`${name}: the seeds, and ${INPUTS} inputs made from them`, () => {
      const [finding] = new Search(target, { seed: 1 }).repeat(INPUTS);
      if (finding === undefined) return;
      const { input, error } = finding;
      assert.fail(`${input.toString('hex')}: ${error instanceof Error ? error.stack : error}`);
    });
  }

  it('the search reaches code that its seeds do not, and reports findings there', () => {
    const { run, seeds } = TARGETS.get('query') as Target;
    const poor = { seeds: seeds.slice(0, 1), run };
    const { bytes, seedBytes, corpus } = new Search(poor, { seed: 1, executions: 5_000 }).search();
    assert.ok(bytes > seedBytes && corpus > 2, `${seedBytes} bytes, then ${bytes}, by ${corpus}`);
    const broken = {
      ...poor,
      run: (input: Buffer): void => {
        run(input);
        if (input[0] === 0xff) throw new Error('found');
      },
    };
    const { findings } = new Search(broken, { seed: 1, executions: 5_000 }).search();
    assert.deepEqual(
      findings.map(({ input }) => input[0]),
      [0xff],
    );
  });
});
