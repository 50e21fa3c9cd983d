import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';

const file = (path: string): string =>
  fileURLToPath(new URL(`../../../../${path}`, import.meta.url));

/** Runs in a child process that opens every descriptor of its limit. */
const SCRIPT = `
import { closeSync, openSync } from 'node:fs';
import { watchDescriptors } from ${JSON.stringify(file('agent/daemon/state/descriptor-watch.ts'))};
import { FakeClock } from ${JSON.stringify(file('test/support/fake-clock.ts'))};
const reported = [];
const clock = new FakeClock();
const watch = watchDescriptors(clock, (lack, errno) => reported.push(lack + ' ' + errno));
await clock.advance(2_000);
const before = reported.length;
const taken = [];
try {
  for (;;) taken.push(openSync('/'));
} catch {}
await clock.advance(3_000);
const during = reported.splice(0);
for (const fd of taken) closeSync(fd);
await clock.advance(3_000);
watch.cancel();
process.stdout.write(JSON.stringify({ before, during, after: reported.length }));
`;

it('the lack of descriptors is logged once a second, and no longer once a file can be opened', () => {
  const node = [process.execPath, '--input-type=module', '-e', SCRIPT];
  const text = execFileSync('prlimit', ['--nofile=64', ...node], { encoding: 'utf8' });
  const during = Array.from({ length: 3 }, () => 'descriptors EMFILE');
  assert.deepEqual(JSON.parse(text), { before: 0, during, after: 0 });
});
