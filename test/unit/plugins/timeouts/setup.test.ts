import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError } from '../../../../agent/base/errors.ts';
import { setup } from '../../../../agent/plugins/timeouts/setup.ts';
import { parseDirective } from '../../../support/corefiles/parse.ts';
import { fakeServices } from '../../../support/services.ts';

function patience(body: string) {
  const services = fakeServices();
  const { directive, block } = parseDirective(`timeouts {\n${body}\n}`);
  setup(directive, block, services);
  return services.asked.tcpTimeouts;
}

describe('timeouts', () => {
  it('set only the given options', () => {
    assert.deepEqual(patience('read 3s'), { readMs: 3_000 });
    assert.deepEqual(patience('write 2\nidle 1h\nmaxtcpqueries 5'), {
      ...{ writeMs: 2_000, idleMs: 3_600_000, maxQueries: 5 },
    });
    assert.deepEqual(patience('maxtcpqueries -1'), { maxQueries: Number.POSITIVE_INFINITY });
  });

  for (const body of [
    '',
    'read',
    'read 999ms',
    'idle 25h',
    'write soon',
    'maxtcpqueries -2',
    'nope 3s',
    'read 3s 4s',
  ]) {
    it(`refused: ${body}`, () => assert.throws(() => patience(body), ConfigError));
  }

  it('accept no argument and need an option', () => {
    for (const text of ['timeouts', 'timeouts 3s']) {
      const { directive, block } = parseDirective(text);
      assert.throws(() => setup(directive, block, fakeServices()), ConfigError);
    }
  });
});
