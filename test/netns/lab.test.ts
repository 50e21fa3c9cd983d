/** `npm run lab` itself: its scenario passes, and in every case it removes everything that it created. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { describe, it } from 'node:test';
import { until } from '../support/cluster/process/wait.ts';
import { canMakeNetns, sayLeftOut } from '../support/netns/netns.ts';

const LAB = new URL('../lab/main.ts', import.meta.url).pathname;

interface Lab {
  readonly child: ChildProcess;
  readonly output: () => string;
  readonly exited: Promise<number | null>;
}

function startLab(...args: string[]): Lab {
  const child = spawn(process.execPath, [LAB, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
  }
  const exited = new Promise<number | null>((resolve) => {
    child.once('close', resolve);
  });
  return { child, exited, output: () => text };
}

/** Names of the namespaces, their files and run directories that this lab has created. */
function leftovers({ child }: Lab): string[] {
  const places = ['/run/netns', '/etc/netns', tmpdir()].filter((dir) => existsSync(dir));
  const ours = `nodens-lab-${child.pid}-`;
  return places.flatMap((dir) => readdirSync(dir).filter((name) => name.startsWith(ours)));
}

if (canMakeNetns()) {
  describe('the lab', { timeout: 400_000 }, () => {
    it('meets every expectation, and removes what it created', async () => {
      const lab = startLab('--proxy', 'nft', '--lookups', '1000');
      const code = await lab.exited;
      const broken = lab
        .output()
        .split('\n')
        .filter((line) => line.includes('✗'));
      assert.deepEqual(broken, [], lab.output());
      assert.equal(code, 0, lab.output());
      assert.match(lab.output(), /(\d+) of \1 expectations held/);
      assert.deepEqual(leftovers(lab), []);
    });

    it('removes what it created after Ctrl-C', async () => {
      const lab = startLab('--proxy', 'iptables');
      await until(
        'nodens to start',
        () => lab.output().includes('agent runs as'),
        30_000,
        lab.output,
      );
      assert.notDeepEqual(leftovers(lab), []);
      lab.child.kill('SIGINT');
      assert.equal(await lab.exited, 130);
      assert.deepEqual(leftovers(lab), []);
    });
  });
} else {
  sayLeftOut('the lab');
}
