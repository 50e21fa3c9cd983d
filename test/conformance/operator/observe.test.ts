/** `nodens observe`, as built: queries are shown as they are answered, and the agent pays nothing otherwise. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { eventually } from '../../support/netns/netns.ts';
import { OperatedAgent } from '../../support/operator.ts';

const A = 1;
const agent = new OperatedAgent({
  cache: 'serve_stale 1h immediate\n success 9984 3 3',
  more: 'template IN TXT made.test {\n answer "{{ .Name }} 60 IN TXT x"\n }',
});
const { upstream } = agent;

before(async () => {
  upstream.records.set('web.test. A', ['web.test. 300 IN A 192.0.2.7']);
  upstream.records.set('slow.test. A', ['slow.test. 300 IN A 192.0.2.7']);
  await agent.start();
});
after(() => agent.remove());

/** Lines of `observe` with `args` while `ask` runs. */
async function observed(
  args: readonly string[],
  ask: () => Promise<void>,
): Promise<Record<string, unknown>[]> {
  const child = spawn(
    process.execPath,
    [agent.main, 'observe', '-f', '-o', 'json', '-admin-socket', agent.socket, ...args],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let out = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    out += chunk;
  });
  const lines = (): string[] => out.split('\n').filter((line) => line !== '');
  // The last name tells that everything before it has been shown, where the filter takes it.
  await eventually('it observes', async () => {
    await agent.query('mark.test', A);
    await agent.run('query', 'x.test', '-client', '192.0.2.99');
    return (await agent.json('status'))[0]?.observers === 1;
  });
  await ask();
  await new Promise((resolve) => setTimeout(resolve, 300));
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGINT');
  await ended;
  return lines()
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter(({ name }) => name !== 'mark.test.' && name !== 'x.test.');
}

describe('observe', () => {
  it('shows where each answer came from, and which upstream gave it', async () => {
    await agent.run('cache', 'flush', '-all');
    const lines = await observed([], async () => {
      await agent.query('web.test', A);
      // A query that comes in the millisecond of the answer's birth counts as one that asked for it.
      await new Promise((resolve) => setTimeout(resolve, 5));
      await agent.query('web.test', A);
      await agent.query('made.test', 16);
      await agent.query('broken.test', A);
    });
    assert.deepEqual(
      lines.map(({ name, from, rcode, client }) => [name, from, rcode, client]),
      [
        ['web.test.', 'miss', 'NOERROR', '127.0.0.1'],
        ['web.test.', 'hit', 'NOERROR', '127.0.0.1'],
        ['made.test.', 'miss', 'NOERROR', '127.0.0.1'],
        ['broken.test.', 'failure', 'SERVFAIL', '127.0.0.1'],
      ],
    );
    assert.match(String(lines[0]?.upstream), /^127\.0\.0\.1:\d+$/);
    assert.equal(lines[1]?.upstream, undefined);
    assert.ok(Number(lines[0]?.durationMs) >= 0);
  });

  it('shows stale answers', async () => {
    await agent.query('web.test', A);
    await new Promise((resolve) => setTimeout(resolve, 3_300));
    const lines = await observed(['-stale'], async () => {
      await agent.query('web.test', A);
    });
    assert.deepEqual(
      lines.map(({ name, from }) => [name, from]),
      [['web.test.', 'stale']],
    );
  });

  it('takes a name, an rcode, a client, a time', async () => {
    const ask = async (): Promise<void> => {
      for (const name of ['a.web.test', 'b.web.test', 'web.test', 'broken.test'])
        await agent.query(name, A);
      upstream.delayMs = 150;
      await agent.query('slow.test', A);
      upstream.delayMs = 0;
    };
    const names = async (...args: string[]): Promise<unknown[]> => {
      await agent.run('cache', 'flush', '-all');
      return (await observed(args, ask)).map(({ name }) => name);
    };
    assert.deepEqual(await names('-name', '*.WEB.test'), ['a.web.test.', 'b.web.test.']);
    assert.deepEqual(await names('-name', 'web.test'), ['web.test.']);
    assert.deepEqual(await names('-rcode', 'servfail'), ['broken.test.']);
    assert.deepEqual(await names('-slow', '100ms'), ['slow.test.']);
    assert.deepEqual(await names('-client', '127.0.0.2'), []);
    assert.equal((await names('-client', '127.0.0.1')).length, 5);
  });

  it('as text, for a time: exit code 1 where nothing was asked', async () => {
    const { code, out, err } = await agent.run('observe', '-for', '200ms', '-client', '192.0.2.1');
    assert.deepEqual({ code, out }, { code: 1, out: '' });
    assert.match(err, /^no query was shown/);
  });

  it('ends after -for with -f as well', async () => {
    const { code } = await agent.run('observe', '-f', '-for', '200ms', '-client', '192.0.2.1');
    assert.equal(code, 1);
  });

  it('is over for the agent when the command has gone', async () => {
    await eventually('no observer is left', async () => {
      const [status] = await agent.json('status');
      return status?.observers === 0;
    });
  });

  for (const args of [
    ['-client', 'pod'],
    ['-rcode', 'BROKEN'],
    ['-slow', 'much'],
    ['-o', 'xml'],
    ['word'],
  ])
    it(`refuses ${args.join(' ')}`, async () => {
      const { code, err } = await agent.run('observe', ...args);
      assert.equal(code, 2, err);
    });
});
