import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { releaseRegularly } from '../../../agent/base/pages.ts';
import { loadAddon } from '../../../agent/server/addon.ts';
import { shrinkRegularly } from '../../../agent/server/shrink-heap.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const MIB = 2 ** 20;
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

/** Bytes of V8's heap after a burst that left garbage in the old generation, and some time after the addon was asked. */
const BURST = `
  import { setTimeout } from 'node:timers/promises';
  import { getHeapStatistics } from 'node:v8';
  import { loadAddon } from ${JSON.stringify(ADDON)};
  const addon = loadAddon();
  let kept = Array.from({ length: 400_000 }, (_, i) => [i, String(i)]);
  kept = kept.filter((_, i) => i % 100 === 0);
  const before = getHeapStatistics().total_heap_size;
  if (process.argv[1] === 'shrink') addon.shrinkHeap();
  await setTimeout(1_000);
  console.log(JSON.stringify({ before, after: getHeapStatistics().total_heap_size, kept: kept.length }));
`;

if (!(loadAddon() instanceof Error))
  describe('shrinkHeap', () => {
    const shareLeft = (...args: string[]): number => {
      const flags = ['--input-type=module', '-e', BURST, ...args];
      const { stdout, status, stderr } = spawnSync(process.execPath, flags, { encoding: 'utf8' });
      assert.equal(status, 0, stderr);
      const { before, after, kept } = JSON.parse(stdout);
      assert.equal(kept, 4_000);
      return after / before;
    };

    it('gives memory back', () => assert.ok(shareLeft('shrink') < 0.6));

    it('does what V8 does not do itself', () => assert.ok(shareLeft() > 0.9));
  });

describe('shrinkRegularly', () => {
  const agent = () => {
    const clock = new FakeClock();
    const used = { cpuMs: 0, heapBytes: 20 * MIB };
    const found = { times: 0 };
    const usage = { cpuMs: () => used.cpuMs, heapBytes: () => used.heapBytes };
    const addon = { shrinkHeap: () => found.times++ };
    return { clock, used, found, timer: shrinkRegularly(addon, usage, clock) };
  };

  it('shrinks the heap once after the start', async () => {
    const { clock, found } = agent();
    await clock.advance(1_000);
    assert.equal(found.times, 1);
    await clock.advance(600_000);
    assert.equal(found.times, 1);
  });

  it('waits until the agent has little to do', async () => {
    const { clock, used, found } = agent();
    for (let second = 0; second < 60; second++) {
      used.cpuMs += 101;
      await clock.advance(1_000);
    }
    assert.equal(found.times, 0);
    await clock.advance(1_000);
    assert.equal(found.times, 1);
  });

  it('does it again when the heap has grown by 2 MiB, at most every 30 s', async () => {
    const { clock, used, found } = agent();
    await clock.advance(2_000);
    // The collection takes until now.
    used.heapBytes = 14 * MIB;
    await clock.advance(1_000);
    used.heapBytes = 16 * MIB - 1;
    await clock.advance(60_000);
    assert.equal(found.times, 1);
    used.heapBytes = 16 * MIB;
    await clock.advance(2_000);
    assert.equal(found.times, 2);
    used.heapBytes = 30 * MIB;
    await clock.advance(28_000);
    assert.equal(found.times, 2);
    await clock.advance(1_000);
    assert.equal(found.times, 3);
  });

  it('does it again where new objects came during the collection', async () => {
    const { clock, used, found } = agent();
    await clock.advance(1_000);
    used.cpuMs += 500;
    used.heapBytes = 26 * MIB;
    await clock.advance(30_000);
    assert.equal(found.times, 2);
    await clock.advance(300_000);
    assert.equal(found.times, 2);
  });

  it('ends when it is cancelled', async () => {
    const { clock, found, timer } = agent();
    timer.cancel();
    await clock.advance(60_000);
    assert.equal(found.times, 0);
  });
});
