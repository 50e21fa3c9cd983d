/** What a scrape of /metrics costs the thread that answers DNS, and how late it makes an answer. */
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type Lateness, latenessOf } from '../support/hostile/pod/lateness.ts';
import { ask } from './load.ts';
import type { Server } from './process.ts';
import { type Bench, type Started, start } from './rounds.ts';
import { questionFile, type Scenario } from './scenarios.ts';
import { METRICS_PORT_OFFSET, nodens, type Place, type Subject } from './subjects.ts';

export interface Scrape {
  /** Time of the main thread, milliseconds: the median, of the first pages of an agent and of later ones. */
  readonly firstMs: number;
  readonly ms: number;
  readonly bytes: number;
  /** How much later the latest hit beside a page is than without one, milliseconds: one block, and many. */
  readonly lateMs: number;
  readonly lateMsOfBlocks: number;
}

const SCRAPES = 40;
/** Longer than a page is reused. */
const PAUSE_MS = 300;
/** After load the garbage collector has work of its own. */
const SETTLE_MS = 3_000;
const BLOCKS = 100;
const BURSTS = 15;

/** Of fresh agents that have answered `scenario` for a moment and get no queries then. */
export async function measureScrapes(bench: Bench, scenario: Scenario): Promise<Scrape> {
  bench.say('scrapes');
  const file = questionFile(bench.dir, scenario, 1);
  const one = await beside(bench, nodens('nodens-scrapes', {}), file, async (started) => {
    const { server, port } = started;
    const page = async (): Promise<number> =>
      (await (await fetch(`http://127.0.0.1:${port + METRICS_PORT_OFFSET}/metrics`)).text()).length;
    const first = await costOf(server, page);
    return { first, later: await costOf(server, page), lateMs: lateMs(await lateness(started)) };
  });
  const names = Array.from({ length: 2 * BLOCKS }, (_, i) => `a.zone${i % BLOCKS}.test A`);
  const namesFile = join(bench.dir, 'names-of-blocks');
  writeFileSync(namesFile, `${names.join('\n')}\n`);
  const blocks = await beside(bench, manyBlocks(), namesFile, async (started) =>
    lateMs(await lateness(started)),
  );
  const { first, later } = one;
  return {
    ...{ firstMs: first.ms, ms: later.ms, bytes: later.bytes },
    ...{ lateMs: one.lateMs, lateMsOfBlocks: blocks },
  };
}

async function beside<Result>(
  bench: Bench,
  subject: Subject,
  file: string,
  measure: (started: Started) => Promise<Result>,
): Promise<Result> {
  const started = await start(bench, subject, 'plain');
  try {
    await ask({ port: started.port, file, transport: 'udp', seconds: bench.seconds });
    await pause(SETTLE_MS);
    return await measure(started);
  } finally {
    await started.server.stop();
  }
}

/** Median of what `page` costs the main thread, without what it does anyway. */
async function costOf(
  server: Server,
  page: () => Promise<number>,
): Promise<{ readonly ms: number; readonly bytes: number }> {
  const idle: number[] = [];
  const costs: number[] = [];
  let bytes = 0;
  for (let i = 0; i < SCRAPES; i++) {
    const beforeMs = server.mainThreadMs();
    await pause(PAUSE_MS);
    const betweenMs = server.mainThreadMs();
    bytes = await page();
    await pause(PAUSE_MS);
    idle.push(betweenMs - beforeMs);
    costs.push(server.mainThreadMs() - betweenMs);
  }
  const median = (values: readonly number[]): number =>
    values.toSorted((a, b) => a - b)[values.length >> 1] as number;
  return { ms: median(costs) - median(idle), bytes };
}

function lateness({ port }: Started): Promise<Lateness> {
  return latenessOf(port, port + METRICS_PORT_OFFSET, BURSTS);
}

const lateMs = ({ scrapedMs, quietMs }: Lateness): number => Math.max(0, scrapedMs - quietMs);

/** As the usual agent, with further blocks that have series of their own. */
function manyBlocks(): Subject {
  const usual = nodens('nodens-blocks', {});
  const blocks = ({ port, upstreamPort }: Place): string =>
    Array.from(
      { length: BLOCKS },
      (_, i) =>
        `zone${i}.test:${port} {\n bind 127.0.0.1\n cache\n prometheus 127.0.0.1:${port + METRICS_PORT_OFFSET}\n forward . 127.0.0.1:${upstreamPort}\n}\n`,
    ).join('');
  const command: Subject['command'] = (place) => {
    const made = usual.command(place);
    appendFileSync(join(place.dir, 'Corefile'), blocks(place));
    return made;
  };
  return { ...usual, command };
}
