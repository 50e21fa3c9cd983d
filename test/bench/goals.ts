/** What a release must reach, beside what was measured: the figures of the tables that have a goal. */
import type { Results, Row } from './results.ts';

/** A figure and its bound. */
interface Goal {
  readonly what: string;
  readonly goal: string;
  /** Undefined if the run did not measure it. */
  readonly found: number | undefined;
  readonly isMet: (found: number) => boolean;
}

const MISSES_PER_SECOND = 45_000;
const SCRAPE_MS = 0.5;
const LATE_MS = 2;
const PAGE_BYTES = 100_000;

const atMost =
  (bound: number) =>
  (found: number): boolean =>
    found <= bound;

function rowOf({ tables }: Results, scenario: string, subject: string): Row | undefined {
  const table = tables.find((one) => one.scenario === scenario);
  return table?.rows.find((row) => row.subject === subject);
}

/** CPU of nodens as a multiple of unbound's. */
function ratio(results: Results, scenario: string): number | undefined {
  const [own, peer] = ['nodens', 'unbound'].map((name) => rowOf(results, scenario, name)?.totalUs);
  return own === undefined || peer === undefined ? undefined : own / peer;
}

function scrapeGoals(scrape: Results['scrape']): Goal[] {
  const within = (what: string, most: number, found: number | undefined): Goal => ({
    ...{ what, found, goal: `≤ ${most}`, isMet: atMost(most) },
  });
  const page = 'a scrape of /metrics of one block';
  return [
    within(`${page}, ms of the main thread`, SCRAPE_MS, scrape?.ms),
    within(`${page} by an agent that just started`, SCRAPE_MS, scrape?.firstMs),
    within('latest hit beside a page of one block, ms later', LATE_MS, scrape?.lateMs),
    within('latest hit beside a page of 101 blocks', LATE_MS, scrape?.lateMsOfBlocks),
  ];
}

function goals(results: Results): Goal[] {
  const { scrape, memoryGoals, operatorGoals } = results;
  const ratios = [
    ['hot', 'hits'],
    ['miss-tcp', 'misses over TCP'],
    ['miss-udp', 'misses over UDP'],
  ] as const;
  const rates = [
    ['miss-tcp', 'misses over TCP'],
    ['miss-udp', 'misses over UDP'],
  ] as const;
  return [
    ...ratios.map(([scenario, what]) => ({
      what: `${what}: CPU as a multiple of unbound's`,
      goal: '≤ 1.00',
      found: ratio(results, scenario),
      isMet: atMost(1),
    })),
    ...rates.map(([scenario, what]) => ({
      what: `${what}, a second on one core`,
      goal: `≥ ${MISSES_PER_SECOND}`,
      found: rowOf(results, scenario, 'nodens')?.qps,
      isMet: (found: number) => found >= MISSES_PER_SECOND,
    })),
    ...scrapeGoals(scrape),
    {
      what: 'the page of /metrics of one block, bytes',
      goal: `≤ ${PAGE_BYTES}`,
      found: scrape?.bytes,
      isMet: atMost(PAGE_BYTES),
    },
    ...[...memoryGoals, ...operatorGoals].map(({ what, unit, measured, most }) => ({
      what: `${what}, ${unit}`,
      goal: `≤ ${most}`,
      found: measured,
      isMet: atMost(most),
    })),
  ];
}

/** Cells of the table of goals that this run measured. */
export function goalCells(results: Results): string[][] {
  const lines = goals(results).flatMap(({ what, goal, found, isMet }) =>
    found === undefined
      ? []
      : [[what, goal, found.toFixed(found < 100 ? 2 : 0), isMet(found) ? 'met' : 'missed']],
  );
  return [['goal', 'wanted', 'found', ''], ...lines];
}
