import assert from 'node:assert/strict';
import { it } from 'node:test';
import { resetConnections } from '../../../../init/node/tcp-connections.ts';

it('the ss command names every address, and its output has a line per reset', async () => {
  const asked: string[] = [];
  const reset = await resetConnections(
    async (program, args) => {
      asked.push([program, ...args].join(' '));
      return '0 0 10.0.0.1:53 10.0.0.2:4000\n0 0 [fd00::1]:53 [fd00::2]:4000\n';
    },
    ['10.0.0.1', 'fd00::1'],
    53,
  );
  assert.equal(reset, 2);
  assert.deepEqual(asked, [
    'ss --kill --no-header --tcp --numeric state established state close-wait ( src 10.0.0.1 or src [fd00::1] ) and sport = :53',
  ]);
});
