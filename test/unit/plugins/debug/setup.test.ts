import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError } from '../../../../agent/base/errors.ts';
import { setup } from '../../../../agent/plugins/debug/setup.ts';
import { parseDirective } from '../../../support/corefiles/parse.ts';
import { fakeServices } from '../../../support/services.ts';

function asked(text: string): boolean {
  const services = fakeServices();
  const { directive, block } = parseDirective(text);
  assert.deepEqual(setup(directive, block, services), { name: 'debug' });
  return services.asked.debug;
}

describe('debug', () => {
  it('enables debug lines', () => {
    assert.equal(asked('debug'), true);
  });

  it('accepts no arguments', () => {
    for (const text of ['debug on', 'debug {\nthing\n}']) {
      assert.throws(() => asked(text), ConfigError, text);
    }
  });
});
