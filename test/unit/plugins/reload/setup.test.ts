import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError } from '../../../../agent/base/errors.ts';
import { setup } from '../../../../agent/plugins/reload/setup.ts';
import { parseDirective } from '../../../support/corefiles/parse.ts';
import { fakeServices } from '../../../support/services.ts';

function asked(text: string): unknown[] {
  const services = fakeServices();
  const { directive, block } = parseDirective(text);
  assert.deepEqual(setup(directive, block, services), { name: 'reload' });
  const { reload } = services.asked;
  return [reload?.intervalMs, reload?.jitterMs];
}

describe('reload', () => {
  it('checks every 30 s with 15 s of jitter by default', () => {
    assert.deepEqual(asked('reload'), [30_000, 15_000]);
    assert.deepEqual(asked('reload 60s'), [60_000, 15_000]);
    assert.deepEqual(asked('reload 60s 20s'), [60_000, 20_000]);
  });

  it('keeps jitter within half the interval', () => {
    assert.deepEqual(asked('reload 10s'), [10_000, 5_000]);
    assert.deepEqual(asked('reload 2s 1h'), [2_000, 1_000]);
  });

  it('allows no jitter', () => {
    assert.deepEqual(asked('reload 2s 0s'), [2_000, 0]);
  });

  it('refuses less than the minima, words that are no duration, and more arguments', () => {
    for (const text of [
      'reload 1s',
      'reload 30',
      'reload 30s 500ms',
      'reload soon',
      'reload 30s 15s 1s',
      'reload {\nthing\n}',
    ]) {
      assert.throws(() => asked(text), ConfigError, text);
    }
  });
});
