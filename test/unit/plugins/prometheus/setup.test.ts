import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError } from '../../../../agent/base/errors.ts';
import { setup } from '../../../../agent/plugins/prometheus/setup.ts';
import { parseDirective } from '../../../support/corefiles/parse.ts';
import { type FakeServices, fakeServices } from '../../../support/services.ts';

function setUp(text: string): FakeServices {
  const services = fakeServices();
  const { directive, block } = parseDirective(text);
  assert.deepEqual(setup(directive, block, services), { name: 'prometheus' });
  return services;
}

describe('prometheus', () => {
  it('shows every series, on localhost:9153 by default', () => {
    const { metricsPages } = setUp('prometheus');
    assert.deepEqual(metricsPages, [{ address: 'localhost:9153', isOlder: false }]);
    assert.equal(setUp('prometheus :9253').metricsPages[0]?.address, ':9253');
  });

  it('shows older names where configured', () => {
    const { metricsPages } = setUp('prometheus :9253 {\n older_names\n}');
    assert.deepEqual(metricsPages, [{ address: ':9253', isOlder: true }]);
    assert.deepEqual(setUp('prometheus :9253 {\n}').metricsPages[0]?.isOlder, false);
  });

  it('has the queries of its block measured', () => {
    assert.equal(setUp('prometheus').asked.measured, true);
  });

  it('refuses what is not an address, a second argument, an unknown option and a second use', () => {
    for (const text of [
      'prometheus 9253',
      'prometheus :9253 :9254',
      'prometheus {\nthing\n}',
      'prometheus {\n runtime_metrics\n}',
      'prometheus {\n older_names yes\n}',
      'prometheus\nprometheus',
    ]) {
      assert.throws(() => setUp(text), ConfigError, text);
    }
  });
});
