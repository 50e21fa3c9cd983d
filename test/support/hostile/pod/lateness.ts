/** How much later than others a cached answer comes when it is asked for beside a scrape. */
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { spawnUndelayed } from '../undelayed.ts';
import { quantile } from './neighbour.ts';

const BURSTS = fileURLToPath(new URL('../bursts.ts', import.meta.url));

export interface Lateness {
  /** Medians over the bursts, of the latest hit of each: beside a page, and without one; milliseconds. */
  readonly scrapedMs: number;
  readonly quietMs: number;
  /** Of a page as sent. */
  readonly bytes: number;
}

/**
 * Asks the agent in `rounds` pairs of bursts, which take turns: what else the machine does delays both alike. Medians,
 * because some bursts meet a pause of the garbage collector or another program. `accept` is the header of that name.
 */
export async function latenessOf(
  port: number,
  metrics: number,
  rounds: number,
  accept = '*/*',
): Promise<Lateness> {
  const child = spawnUndelayed('client', BURSTS, [`${port}`, `${metrics}`, `${rounds}`, accept]);
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  await once(child, 'close');
  const { scraped, quiet, bytes } = JSON.parse(text) as {
    readonly scraped: readonly number[];
    readonly quiet: readonly number[];
    readonly bytes: number;
  };
  const medianOf = (values: readonly number[]): number =>
    quantile(
      values.toSorted((a, b) => a - b),
      0.5,
    );
  return { scrapedMs: medianOf(scraped), quietMs: medianOf(quiet), bytes };
}
