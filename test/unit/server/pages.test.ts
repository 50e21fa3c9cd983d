import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import { releaseRegularly } from '../../../agent/base/pages.ts';
import { loadAddon } from '../../../agent/server/addon.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const ADDON = new URL('../../../agent/server/addon.ts', import.meta.url).href;
/** Kilobytes of files that the process has mapped, before and after, and functions that run on released pages. */
const PROGRAM = `
  import { readFileSync } from 'node:fs';
  import { loadAddon } from ${JSON.stringify(ADDON)};
  const mapped = () => Number(/^RssFile:\\s+(\\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]);
  const addon = loadAddon();
  const before = mapped();
  addon.releasePages();
  const after = mapped();
  let works = 0;
  for (let turn = 0; turn < 50; turn++) {
    addon.releasePages();
    works += JSON.parse(JSON.stringify({ turn: [...'release'].sort().join('') })).turn.length;
    works += eval('((a) => a.map((x) => x * 2).length)')(new Array(10).fill(turn));
  }
  console.log(JSON.stringify({ before, after, works }));
`;

if (!(loadAddon() instanceof Error))
  it("releases most of the program's pages, and everything works afterwards", () => {
    const flags = ['--input-type=module', '-e', PROGRAM];
    const { stdout, status, stderr } = spawnSync(process.execPath, flags, { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    const { before, after, works } = JSON.parse(stdout);
    assert.ok(after < before / 2, `${before} kB before, ${after} kB after`);
    assert.equal(works, 50 * 17);
  });

it('releases them repeatedly, until it is stopped', async () => {
  const clock = new FakeClock();
  let times = 0;
  const timer = releaseRegularly({ releasePages: () => times++ }, clock);
  await clock.advance(15_000);
  assert.equal(times, 3);
  timer.cancel();
  await clock.advance(15_000);
  assert.equal(times, 3);
});

const addon = loadAddon();
if (!(addon instanceof Error))
  it('clears exactly the bytes that it gets, and returns their pages', () => {
    const anonymousKb = (): number =>
      Number(/^RssAnon:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);
    const memory = new Uint8Array(new SharedArrayBuffer(32 * 2 ** 20)).fill(7);
    const before = anonymousKb();
    const middle = memory.subarray(5_001, -5_001);
    addon.clearBytes(middle);
    const after = anonymousKb();
    assert.ok(after < before - 24 * 1_024, `${before} kB before, ${after} kB after`);
    assert.ok(middle.every((byte) => byte === 0));
    assert.equal(memory.filter((byte) => byte === 7).length, 2 * 5_001);
    const small = new Uint8Array(300).fill(7);
    addon.clearBytes(small.subarray(1, -1));
    assert.deepEqual([...small], [7, ...new Array(298).fill(0), 7]);
  });
