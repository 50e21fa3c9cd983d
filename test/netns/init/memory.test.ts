/** What `nodens init` takes while it waits: its flags and its garbage collector are there for that. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { withRoom } from '../../support/netns/init.ts';
import { canMakeNetns, eventually, sayLeftOut } from '../../support/netns/netns.ts';

const NODENS = fileURLToPath(new URL('../../../dist/agent/main.js', import.meta.url));
/** 15 MB is the goal of `npm run bench`; 26 MB it was before Node got flags for a program that sleeps. */
const MOST_ANONYMOUS_KB = 18 * 1_024;

const ofProcess = (pid: number, file: string): string =>
  readFileSync(`/proc/${pid}/${file}`, 'utf8');

if (!canMakeNetns()) sayLeftOut('the memory of init');
else
  it('init takes little memory, has its name, and no code that can be written to', () =>
    withRoom(async ({ node, args }) => {
      const init = node.start(process.execPath, [NODENS, 'init', ...args]);
      await eventually('set up', () => init.output().includes('"msg":"set up"'));
      const { pid } = init;
      assert.match(ofProcess(pid, 'cmdline'), /init.main\.js/);
      assert.equal(ofProcess(pid, 'comm'), 'nodens-init\n');
      assert.doesNotMatch(ofProcess(pid, 'maps'), /^\S+ .wx. /m);
      const kilobytes = Number(/^Anonymous:\s+(\d+)/m.exec(ofProcess(pid, 'smaps_rollup'))?.[1]);
      assert.ok(kilobytes > 0 && kilobytes <= MOST_ANONYMOUS_KB, `${kilobytes} kB`);
    }));
