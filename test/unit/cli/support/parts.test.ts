import assert from 'node:assert/strict';
import { it } from 'node:test';
import { partsBeside } from '../../../../agent/cli/support/parts.ts';

const NODE = ['node', '--jitless'];
const paths = (...words: readonly string[]): readonly string[] =>
  partsBeside([...NODE, ...words]).map(({ path }) => path);

it("leaves out in the init container what only the agent's container has", () => {
  const init = '/opt/nodens/dist/init/main.js';
  const alone = paths(init, '--localip=169.254.20.10');
  for (const path of ['status.json', 'cache.json', 'log.txt', 'configuration.txt'])
    assert.ok(!alone.includes(path), path);
  assert.ok(alone.includes('doctor.json') && alone.includes('metrics.txt'));
  const everything = paths('/opt/nodens/dist/agent/main.js', 'agent');
  assert.ok(everything.includes('status.json') && everything.includes('configuration.txt'));
  // In a drop-in init starts the agent beside it.
  assert.deepEqual(paths(init, '-supervise', '--', '-conf', '/etc/Corefile'), everything);
});
