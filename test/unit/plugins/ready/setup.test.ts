import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError } from '../../../../agent/base/errors.ts';
import { setup } from '../../../../agent/plugins/ready/setup.ts';
import type { AdminResponse } from '../../../../agent/query/services/admin.ts';
import { parseDirective } from '../../../support/corefiles/parse.ts';
import { fakeServices } from '../../../support/services.ts';

function setUp(text: string) {
  const services = fakeServices();
  const { directive, block } = parseDirective(text);
  setup(directive, block, services);
  const [page] = services.pages;
  assert.ok(page !== undefined && services.pages.length === 1);
  const ask = (...unready: string[]): unknown[] => {
    services.asked.unready = unready;
    const { status, body } = page.handler() as AdminResponse;
    return [status, body];
  };
  return { page, ask };
}

describe('ready', () => {
  it('is served at /ready, on :8181 by default', () => {
    const { page } = setUp('ready');
    assert.deepEqual([page.address, page.path], [':8181', '/ready']);
    assert.equal(setUp('ready 127.0.0.1:1').page.address, '127.0.0.1:1');
  });

  it('names the plugins that are not ready, sorted and each once', () => {
    const { ask } = setUp('ready');
    assert.deepEqual(ask('forward', 'cache', 'forward'), [503, 'cache,forward']);
    assert.deepEqual(ask(), [200, 'OK']);
  });

  it('does not check a plugin again once it has been ready', () => {
    const { ask } = setUp('ready {\nmonitor until-ready\n}');
    assert.deepEqual(ask('a', 'b'), [503, 'a,b']);
    assert.deepEqual(ask('b', 'c'), [503, 'b'], 'c was ready before');
    assert.deepEqual(ask('a', 'b'), [503, 'b'], 'a was ready before');
    assert.deepEqual(ask(), [200, 'OK']);
    assert.deepEqual(ask('a', 'b'), [200, 'OK']);
  });

  it('checks every time when it monitors continuously', () => {
    const { ask } = setUp('ready {\nmonitor continuously\n}');
    assert.deepEqual(ask(), [200, 'OK']);
    assert.deepEqual(ask('a'), [503, 'a']);
    assert.deepEqual(ask(), [200, 'OK']);
  });

  it('refuses bad addresses and modes', () => {
    for (const text of [
      'ready 8181',
      'ready :1 :2',
      'ready {\nmonitor\n}',
      'ready {\nmonitor sometimes\n}',
      'ready {\nwatch\n}',
      'ready\nready',
    ]) {
      assert.throws(() => setUp(text), ConfigError, text);
    }
  });
});
