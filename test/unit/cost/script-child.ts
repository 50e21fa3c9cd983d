/**
 * Prints, as JSON, the bytes that JavaScript allocates for a hit, a miss and a refusal. It must run with the flags in
 * `cost.test.ts`: a young generation in which a whole measurement fits, and no threads, so that V8 compiles at the same
 * moments in each run.
 */
import { getHeapStatistics } from 'node:v8';
import { startScript } from './script.ts';

/** Until V8 has compiled all of the path. */
const WARM_HITS = 200_000;
const WARM_MISSES = 40_000;
/** What one measurement allocates must fit into the young generation. */
const HITS = 100_000;
const MISSES = 1_600;
const REFUSALS = 10_000;
const MEASUREMENTS = 9;

interface Collector {
  readonly gc: (options: { type: 'minor' }) => void;
}

/** Bytes for each of `count`: the median of the measurements, because a collection may fall into one of them. */
async function bytesFor(count: number, run: () => Promise<void> | void): Promise<number> {
  const { gc } = globalThis as unknown as Collector;
  const results: number[] = [];
  for (let i = 0; i < MEASUREMENTS; i++) {
    gc({ type: 'minor' });
    const before = getHeapStatistics().used_heap_size;
    await run();
    results.push((getHeapStatistics().used_heap_size - before) / count);
  }
  return results.toSorted((a, b) => a - b)[MEASUREMENTS >> 1] as number;
}

async function measured(transport: 'tcp' | 'udp'): Promise<{ miss: number; hit: number }> {
  const script = startScript(transport);
  await script.misses(WARM_MISSES);
  const miss = await bytesFor(MISSES, () => script.misses(MISSES));
  script.hits(WARM_HITS);
  const hit = await bytesFor(HITS, () => script.hits(HITS));
  script.stop();
  return { miss, hit };
}

async function refusal(): Promise<number> {
  const script = startScript('udp', true);
  script.fill();
  script.refusals(WARM_HITS);
  const each = await bytesFor(REFUSALS, () => script.refusals(REFUSALS));
  script.stop();
  return each;
}

const overTcp = await measured('tcp');
const overUdp = await measured('udp');
const misses = { missOverTcp: overTcp.miss, missOverUdp: overUdp.miss };
process.stdout.write(JSON.stringify({ hit: overTcp.hit, ...misses, refusal: await refusal() }));
