import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError } from '../../../../agent/base/errors.ts';
import { setup } from '../../../../agent/plugins/prometheus/setup.ts';
import { parseDirective } from '../../../support/corefiles/parse.ts';
import { type FakeServices, fakeServices } from '../../../support/services.ts';

function setUp(text: string): FakeServices {
  const services = fakeServices({
    metricsText: () => Promise.resolve({ contentType: 'text/x', body: 'up 1\n' }),
  });
  const { directive, block } = parseDirective(text);
  assert.deepEqual(setup(directive, block, services), { name: 'prometheus' });
  return services;
}

describe('prometheus', () => {
  it('shows every series at /metrics, on localhost:9153 unless told', async () => {
    const { pages } = setUp('prometheus');
    assert.deepEqual(
      pages.map(({ address, path }) => [address, path]),
      [['localhost:9153', '/metrics']],
    );
    const response = await pages[0]?.handler();
    assert.deepEqual(response, { status: 200, contentType: 'text/x', body: 'up 1\n' });
    assert.equal(setUp('prometheus :9253').pages[0]?.address, ':9253');
  });

  it('has the queries of its block measured', () => {
    assert.equal(setUp('prometheus').asked.measured, true);
  });

  it('refuses what is not an address, a second argument, braces and a second use', () => {
    for (const text of [
      'prometheus 9253',
      'prometheus :9253 :9254',
      'prometheus {\nthing\n}',
      'prometheus\nprometheus',
    ]) {
      assert.throws(() => setUp(text), ConfigError, text);
    }
  });
});
