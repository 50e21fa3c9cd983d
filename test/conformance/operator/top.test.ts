/** `nodens top`, as built: one picture for a pipe, a stream for a script, a screen with keys for a terminal. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { eventually } from '../../support/netns/netns.ts';
import { OperatedAgent } from '../../support/operator.ts';

const A = 1;
const agent = new OperatedAgent();
let asking: NodeJS.Timeout | undefined;

before(async () => {
  agent.upstream.records.set('web.test. A', ['web.test. 300 IN A 192.0.2.7']);
  await agent.start();
  asking = setInterval(() => {
    for (const name of ['web.test', 'gone.test']) agent.query(name, A).catch(() => undefined);
  }, 20);
});
after(async () => {
  clearInterval(asking);
  await agent.remove();
});

describe('top', () => {
  it('prints one picture without a terminal', async () => {
    const { code, out, err } = await agent.run('top', '-interval', '500ms');
    assert.deepEqual({ code, err }, { code: 0, err: '' });
    assert.match(out, /^queries \d+\/s {3}hits \d+\.\d%/m);
    assert.match(out, /^UPSTREAM +STATE/m);
    assert.match(out, /^\d\d:\d\d:\d\d info serving$/m);
    assert.match(out, /^127\.0\.0\.1 +\d+ +\d+\.\d% +\d+\.\d% +0\.0%$/m);
    assert.match(out, /^web\.test\. A +\d+ +\d+\.\d%/m);
    assert.ok(out.split('\n').every((line) => line.length <= 80));
    assert.ok(!out.includes('\u001b'));
  });

  it('prints objects for a script', async () => {
    const [picture] = await agent.json('top', '-once', '-interval', '300ms');
    const names = picture?.names as { key: string; nxdomain: number }[];
    assert.ok(names.some(({ key, nxdomain }) => key === 'gone.test. A' && nxdomain > 0));
    assert.equal((picture?.status as { observers: number } | undefined)?.observers, 1);
  });

  it('draws on a terminal, obeys keys, and leaves the terminal as it was', async () => {
    // script(1) gives it a terminal.
    const command = [process.execPath, agent.main, 'top', '-interval', '200ms'].join(' ');
    const child = spawn('script', ['-qefc', command, '/dev/null'], {
      env: { ...process.env, NODENS_ADMIN_SOCKET: agent.socket, TERM: 'vt100' },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let out = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      out += chunk;
    });
    const shows = (text: string): Promise<void> =>
      eventually(`the screen shows ${text}`, () => Promise.resolve(out.includes(text)));
    const exited = once(child, 'exit');
    await shows('web.test. A');
    assert.ok(out.startsWith('\u001b[?1049h'), 'on the second screen');
    child.stdin.write('s');
    await shows('sort: hits');
    child.stdin.write('p');
    await shows('PAUSED');
    child.stdin.write('p');
    for (const key of '/gone\r') {
      child.stdin.write(key);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await shows('filter "gone"');
    child.stdin.write('f');
    await shows('flush: gone.test.');
    child.stdin.write('\r');
    await shows('gone.test.: removed');
    child.stdin.write('q');
    const [code] = (await exited) as [number];
    assert.equal(code, 0);
    assert.ok(out.trimEnd().endsWith('\u001b[?1049l'), 'the first screen is back');
  });

  it('refuses an interval that would cost too much', async () => {
    const { code, err } = await agent.run('top', '-interval', '1ms');
    assert.equal(code, 2);
    assert.match(err, /-interval: "1ms" is no time from 200ms to 1m/);
  });
});
