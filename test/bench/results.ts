/** Medians and ratios. */
import type { MeasuredGoal } from './memory.ts';
import type { Footprint, Sample } from './rounds.ts';
import type { Scrape } from './scrapes.ts';

/** One line of a scenario's table: medians over the rounds. */
export interface Row {
  readonly subject: string;
  readonly userUs: number;
  readonly sysUs: number;
  readonly totalUs: number;
  readonly qps: number;
  readonly lostShare: number;
  /** Microseconds; undefined where latency is not measured. */
  readonly p50: number | undefined;
  readonly p99: number | undefined;
  readonly p999: number | undefined;
}

export interface Table {
  readonly scenario: string;
  readonly title: string;
  readonly rows: readonly Row[];
}

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly kernel: string;
  /** Load average of the last minute before the run: other work of the machine. */
  readonly load: number;
  readonly node: string;
  readonly date: string;
  readonly versions: Readonly<Record<string, string>>;
}

export interface Results {
  readonly machine: Machine;
  readonly rounds: number;
  readonly seconds: number;
  readonly soakSeconds: number;
  readonly tables: readonly Table[];
  readonly footprints: readonly Footprint[];
  /** Longest pause of nodens' garbage collector under the load of the memory measurement, milliseconds. */
  readonly longestPauseMs: number | undefined;
  /** Memory and start of nodens beside their goals. */
  readonly memoryGoals: readonly MeasuredGoal[];
  /** What the means of an operator cost. */
  readonly operatorGoals: readonly MeasuredGoal[];
  readonly scrape: Scrape | undefined;
  readonly samples: readonly Sample[];
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  if (sorted.length % 2 === 1) return sorted[middle] as number;
  return ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

export function tableOf(scenario: string, title: string, samples: readonly Sample[]): Table {
  const of = samples.filter((sample) => sample.scenario === scenario);
  const subjects = [...new Set(of.map(({ subject }) => subject))];
  const rows = subjects.map((subject): Row => {
    const own = of.filter((sample) => sample.subject === subject);
    const middle = (value: (sample: Sample) => number): number => median(own.map(value));
    const percentile = (name: 'p50' | 'p99' | 'p999'): number | undefined => {
      const values = own.flatMap(({ latency }) => (latency === undefined ? [] : [latency[name]]));
      return values.length === 0 ? undefined : median(values);
    };
    return {
      subject,
      userUs: middle((sample) => sample.userUs),
      sysUs: middle((sample) => sample.sysUs),
      totalUs: middle((sample) => sample.userUs + sample.sysUs),
      qps: middle((sample) => sample.qps),
      lostShare: middle((sample) => sample.lostShare),
      p50: percentile('p50'),
      p99: percentile('p99'),
      p999: percentile('p999'),
    };
  });
  return { scenario, title, rows };
}

const COLUMNS = ['', 'user', 'sys', 'total', 'nodens ÷', 'q/s', 'lost', 'p50', 'p99', 'p99.9'];

/** Cells of a table: µs of CPU per question, nodens' total in relation to each, latencies in µs at a fixed rate. */
export function cells(table: Table): string[][] {
  const own = table.rows.find(({ subject }) => subject === 'nodens')?.totalUs ?? Number.NaN;
  const micros = (value: number | undefined): string =>
    value === undefined ? '' : value.toFixed(0);
  const lines = table.rows.map((row) => [
    row.subject,
    row.userUs.toFixed(2),
    row.sysUs.toFixed(2),
    row.totalUs.toFixed(2),
    row.subject === 'nodens' ? '' : (own / row.totalUs).toFixed(2),
    `${(row.qps / 1_000).toFixed(1)}k`,
    row.lostShare > 0 ? `${(row.lostShare * 100).toFixed(2)} %` : '',
    micros(row.p50),
    micros(row.p99),
    micros(row.p999),
  ]);
  return [COLUMNS, ...lines];
}

/** Cells of the table of memory and start. */
export function footprintCells(results: Results): string[][] {
  return [
    ['', 'start ms', 'RSS MB', 'anonymous MB'],
    ...results.footprints.map(({ subject, startMs, rssMb, anonymousMb }) => [
      subject,
      startMs.toFixed(0),
      rssMb.toFixed(1),
      anonymousMb.toFixed(1),
    ]),
  ];
}

/** Columns aligned for a terminal: the first to the left, numbers to the right. */
export function flush(lines: readonly (readonly string[])[]): string {
  const widths = (lines[0] ?? []).map((_, column) =>
    Math.max(...lines.map((line) => (line[column] ?? '').length)),
  );
  return lines
    .map((line) =>
      line
        .map((cell, column) => {
          const width = widths[column] as number;
          return column === 0 ? cell.padEnd(width) : cell.padStart(width);
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
