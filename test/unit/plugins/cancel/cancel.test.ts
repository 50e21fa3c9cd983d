import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { setup } from '../../../../agent/plugins/cancel/setup.ts';
import { parseDirective } from '../../../support/corefiles/parse.ts';
import { ask, NextSpy, queryFor } from '../../../support/dns/queries.ts';

function budgetWith(text: string): number {
  const query = queryFor('a.example', 'A');
  ask(setup(parseDirective(text).directive), query, new NextSpy().handler);
  return query.budgetMs;
}

describe('cancel', () => {
  it('shortens the time for upstreams, and never extends it', () => {
    assert.equal(budgetWith('cancel 1s'), 1_000);
    assert.equal(budgetWith('cancel'), 4_000);
    assert.equal(budgetWith('cancel 1h'), 4_000);
  });

  for (const text of [
    'cancel 0s',
    'cancel -1s',
    'cancel 5',
    'cancel 1s 2s',
    'cancel {\nthing\n}',
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => budgetWith(text), { name: 'ConfigError' });
    });
  }
});
