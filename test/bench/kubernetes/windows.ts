/** What was measured in windows of one kind, and its text. */
import type { Latency } from '../load.ts';
import { median } from '../results.ts';
import type { Pauses, Turn } from './pauses.ts';

/** Hits and pauses of all windows of one kind. */
export class Windows {
  readonly hits: Latency[] = [];
  /** Late hits of each window, in percent. */
  readonly latePercents: number[] = [];
  readonly turns: Turn[] = [];
  readonly collectionsMs: number[] = [];
  #ranMs = 0;
  #lastedMs = 0;

  add(hits: Latency, { turns, collectionsMs, ranMs, lastedMs }: Pauses): void {
    this.hits.push(hits);
    this.latePercents.push((100 * hits.late) / hits.sent);
    this.turns.push(...turns);
    this.collectionsMs.push(...collectionsMs);
    this.#ranMs += ranMs;
    this.#lastedMs += lastedMs;
  }

  get text(): string {
    const longest = (values: readonly number[]): string =>
      `${values.filter((ms) => ms > 1).length} over 1 ms, longest ${Math.max(0, ...values).toFixed(2)} ms`;
    const lasted = longest(this.turns.map(({ lastedMs }) => lastedMs));
    const ran = longest(this.turns.map(({ lastedMs, ranMs }) => Math.min(lastedMs, ranMs)));
    const percents = this.latePercents.map((each) => each.toFixed(2));
    const share = (100 * this.#ranMs) / this.#lastedMs;
    return [
      `  ${summary(this.hits)}`,
      `    late in each window, %: ${percents.join(' ')}; median ${median(this.latePercents).toFixed(2)}`,
      `    turns: ${lasted}; of their time on a processor: ${ran}; ${share.toFixed(1)} % of the time`,
      `    ${this.collectionsMs.length} garbage collections: ${longest(this.collectionsMs)}`,
    ].join('\n');
  }
}

function summary(windows: readonly Latency[]): string {
  const sum = (of: 'sent' | 'late'): number => windows.reduce((all, each) => all + each[of], 0);
  const ms = (of: 'p50' | 'p99'): string => (median(windows.map((w) => w[of])) / 1_000).toFixed(2);
  const most = Math.max(...windows.map(({ max }) => max / 1_000)).toFixed(2);
  return `${sum('sent')} hits: median ${ms('p50')}, 99 % ${ms('p99')}, most ${most} ms; ${sum('late')} over 1 ms`;
}
