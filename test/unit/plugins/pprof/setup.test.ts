import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError } from '../../../../agent/base/errors.ts';
import { setup } from '../../../../agent/plugins/pprof/setup.ts';
import { parseDirective } from '../../../support/corefiles/parse.ts';
import { fakeServices } from '../../../support/services.ts';

function pages(text: string) {
  const services = fakeServices();
  const { directive, block } = parseDirective(text);
  setup(directive, block, services);
  return services.pages;
}

async function get(path: string, params = '') {
  const page = pages('pprof').find((candidate) => candidate.path === path);
  const response = await page?.handler(new URLSearchParams(params));
  return { status: response?.status, body: String(response?.body) };
}

describe('pprof', () => {
  it('serves profiles for the requested time', async () => {
    assert.deepEqual(await get('/debug/pprof/profile', 'seconds=2'), {
      status: 200,
      body: 'cpu 2',
    });
    assert.deepEqual(await get('/debug/pprof/profile'), { status: 200, body: 'cpu 30' });
    assert.deepEqual(await get('/debug/pprof/heap'), { status: 200, body: 'heap 5' });
    assert.match((await get('/debug/pprof/')).body, /profile\?seconds=N/);
  });

  it('limits the time', async () => {
    for (const seconds of ['0', '301', '-1', 'x', '1.5', '1e3'])
      assert.equal((await get('/debug/pprof/heap', `seconds=${seconds}`)).status, 400, seconds);
  });

  it('listens on the configured address', () => {
    assert.equal(pages('pprof')[0]?.address, 'localhost:6053');
    assert.equal(pages('pprof :6060 {\nblock 5\n}')[0]?.address, ':6060');
    for (const text of ['pprof nowhere', 'pprof :1 :2', 'pprof {\nblock 0\n}', 'pprof\npprof'])
      assert.throws(() => pages(text), ConfigError, text);
  });
});
