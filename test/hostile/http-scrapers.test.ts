/** Permanent scrapers do not affect pods. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type HostileAgent, type Ports, startAgent } from '../support/hostile/agent.ts';
import { latenessOf } from '../support/hostile/pod/lateness.ts';
import { Neighbour, quantile } from '../support/hostile/pod/neighbour.ts';
import { besidePod, summary } from '../support/hostile/pod/neighbourhood.ts';
import { scrape } from '../support/hostile/scrape.ts';
import { allowedMs } from '../support/machine.ts';

const MAX_SCRAPE_MS = await allowedMs(1_000);

const SCRAPERS = fileURLToPath(new URL('../support/hostile/scrapers.ts', import.meta.url));
const POD = '127.0.0.8';
const COUNT = 64;
const SECONDS = 5;
/** Without a limit for scrapers, hits took 110 ms. Here agent, scrapers and test share two cores. */
const MAX_MEDIAN_MS = await allowedMs(10);

/** Blocks of the agent with a large page; each has a zone and series of its own. */
const BLOCKS = 100;
const BURSTS = 15;
const MAX_LATE_MS = await allowedMs(2);

function manyBlocks({ dns, metrics, upstream }: Ports): string {
  const zones = ['.', ...Array.from({ length: BLOCKS - 1 }, (_, i) => `zone${i}.test`)];
  const block = (zone: string): string => `${zone}:${dns} {
  bind 127.0.0.1
  cache
  prometheus 127.0.0.1:${metrics}
  forward . 127.0.0.1:${upstream}
}
`;
  return zones.map(block).join('');
}

describe('a page of 100 blocks', () => {
  let agent: HostileAgent;
  before(async () => {
    agent = await startAgent({ corefile: manyBlocks, isUndelayed: true });
    const nameOf = (asked: number): string => `a.zone${asked % BLOCKS}.test`;
    const pod = await Neighbour.open(agent.ports.dns, { localAddress: POD, nameOf });
    for (let i = 0; i < 2 * BLOCKS; i++) {
      pod.ask();
      await pause(2);
    }
    await pod.close();
  });
  after(() => agent.stop());

  it('makes no hit late', async () => {
    const { body } = await scrape(agent.ports.metrics, '127.0.0.2');
    assert.ok(body.length > 300_000, `${body.length} bytes`);
    const { scrapedMs, quietMs, bytes } = await latenessOf(
      agent.ports.dns,
      agent.ports.metrics,
      BURSTS,
    );
    const [scraped, quiet] = [scrapedMs.toFixed(2), quietMs.toFixed(2)];
    process.stdout.write(
      `# latest hit beside ${bytes} bytes: ${scraped} ms, without: ${quiet} ms\n`,
    );
    assert.ok(scrapedMs - quietMs <= MAX_LATE_MS, `${scraped} ms beside a page, ${quiet} without`);
  });
});

describe('an Accept header of spaces', () => {
  let agent: HostileAgent;
  before(async () => {
    agent = await startAgent({ isUndelayed: true });
  });
  after(() => agent.stop());

  it('makes no hit late', async () => {
    const { dns, metrics } = agent.ports;
    const accept = `text/plain;version${' '.repeat(7_000)}x`;
    const { scrapedMs, quietMs } = await latenessOf(dns, metrics, BURSTS, accept);
    const [scraped, quiet] = [scrapedMs.toFixed(2), quietMs.toFixed(2)];
    assert.ok(scrapedMs - quietMs <= MAX_LATE_MS, `${scraped} ms beside a page, ${quiet} without`);
  });
});

describe('64 scrapers', () => {
  let agent: HostileAgent;
  before(async () => {
    agent = await startAgent();
  });
  after(() => agent.stop());

  it('do not affect hits and another scraper', async () => {
    const args = [SCRAPERS, `${agent.ports.metrics}`, `${COUNT}`, `${SECONDS}`];
    const running = promisify(execFile)(process.execPath, args);
    await pause(1_000);
    const { hits } = await besidePod(agent.ports, POD, async () => {
      for (let i = 0; i < 10; i++) {
        const { status, tookMs } = await scrape(agent.ports.metrics, '127.0.0.2');
        assert.equal(status, 200);
        assert.ok(tookMs < MAX_SCRAPE_MS, `a scrape took ${tookMs} ms`);
        await pause(200);
      }
    });
    const { asked, lost, tookMs } = hits;
    const { pages } = JSON.parse((await running).stdout) as { pages: number };
    const median = quantile(tookMs, 0.5);
    process.stdout.write(`# ${pages} pages in ${SECONDS} s; hits ${summary(hits)}\n`);
    assert.ok(pages > COUNT, `${pages} pages`);
    assert.equal(lost, 0, `${lost} of ${asked} hits lost`);
    assert.ok(median < MAX_MEDIAN_MS, `hits took ${median} ms`);
  });
});
