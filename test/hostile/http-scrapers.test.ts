/** Permanent scrapers do not affect pods. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type HostileAgent, startAgent } from '../support/hostile/agent.ts';
import { quantile } from '../support/hostile/neighbour.ts';
import { besidePod, summary } from '../support/hostile/neighbourhood.ts';
import { scrape } from '../support/hostile/scrape.ts';
import { allowedMs } from '../support/machine.ts';

const MAX_SCRAPE_MS = await allowedMs(1_000);

const SCRAPERS = fileURLToPath(new URL('../support/hostile/scrapers.ts', import.meta.url));
const POD = '127.0.0.8';
const COUNT = 64;
const SECONDS = 5;
/** Without a limit for scrapers, hits took 110 ms. Here agent, scrapers and test share two cores. */
const MAX_MEDIAN_MS = await allowedMs(10);

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
    const { hits } = await besidePod(agent.ports.dns, POD, async () => {
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
