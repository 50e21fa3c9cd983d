/** Latencies of a client in quiet times and in times of attack, which take turns: what the machine does affects both. */
import { type Neighbourhood, quantile } from './neighbour.ts';

/** Milliseconds since the epoch. */
export interface Window {
  readonly isQuiet: boolean;
  readonly fromMs: number;
  readonly toMs: number;
}

/** Latencies of one kind of question, milliseconds: the median over the windows of each window's figure. */
export interface Latencies {
  readonly p50: number;
  readonly p99: number;
}

export interface Compared {
  readonly quiet: Latencies;
  readonly attacked: Latencies;
}

/** The longest p99 beside an attack that counts as unharmed: so many times that of the quiet times, or `floorMs`. */
export function allowedP99({ quiet }: Compared, factor: number, floorMs: number): number {
  return Math.max(floorMs, factor * quiet.p99);
}

export function compared(answers: Neighbourhood, windows: readonly Window[]): Compared {
  const latencies = (isQuiet: boolean): Latencies => {
    const each = windows
      .filter((window) => window.isQuiet === isQuiet)
      .map(({ fromMs, toMs }) =>
        answers.answers
          .filter(({ atMs }) => atMs >= fromMs && atMs < toMs)
          .map(({ tookMs }) => tookMs)
          .sort((a, b) => a - b),
      );
    const median = (q: number): number =>
      quantile(
        each.map((tookMs) => quantile(tookMs, q)).sort((a, b) => a - b),
        0.5,
      );
    return { p50: median(0.5), p99: median(0.99) };
  };
  return { quiet: latencies(true), attacked: latencies(false) };
}

/** `0.3 / 1.2 ms, quiet 0.2 / 0.9`: p50 and p99. */
export function summaryOf({ quiet, attacked }: Compared): string {
  const both = ({ p50, p99 }: Latencies): string => `${p50.toFixed(1)} / ${p99.toFixed(1)}`;
  return `p50 / p99 ${both(attacked)} ms, quiet ${both(quiet)}`;
}
