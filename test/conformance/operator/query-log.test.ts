/** Standard output of the program as built is one stream of JSON, query log included. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { eventually } from '../../support/netns/netns.ts';
import { OperatedAgent } from '../../support/operator.ts';

const A = 1;
const agent = new OperatedAgent({ more: 'log {\n    format json\n  }' });

before(() => agent.start());
after(() => agent.remove());

it('every line is an object, and says where an answer came from', async () => {
  agent.upstream.records.set('web.test. A', ['web.test. 300 IN A 192.0.2.7']);
  const lines = (): Record<string, unknown>[] =>
    agent.log
      .slice(0, agent.log.lastIndexOf('\n'))
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const sources = (): unknown[] =>
    lines()
      .filter(({ event, name }) => event === 'query' && name === 'web.test.')
      .map(({ from }) => from);
  await eventually('a miss and a hit are logged', async () => {
    await agent.query('web.test', A).catch(() => undefined);
    return sources().includes('hit');
  });
  assert.equal(sources()[0], 'miss');
  const entry = lines().find(({ from }) => from === 'hit');
  assert.deepEqual(
    [entry?.level, entry?.client, entry?.type, entry?.rcode, entry?.msg],
    ['info', '127.0.0.1', 'A', 'NOERROR', 'query'],
  );
  assert.ok(
    lines().every(({ level, time, msg }) => [level, time, msg].every((x) => x !== undefined)),
  );
});
