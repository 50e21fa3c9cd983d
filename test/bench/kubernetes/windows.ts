/** What was measured in windows of one kind, and its text. */
import type { Pauses, Turn } from './pauses.ts';

/** A hit is late after this time, milliseconds. */
const LATE_MS = 1;

/** Hits and pauses of all windows of one kind. */
export class Windows {
  readonly latencies: number[] = [];
  /** Late hits of each window, in percent. */
  readonly latePercents: number[] = [];
  readonly turns: Turn[] = [];
  readonly collectionsMs: number[] = [];
  #ranMs = 0;
  #lastedMs = 0;

  add(latencies: readonly number[], { turns, collectionsMs, ranMs, lastedMs }: Pauses): void {
    const late = latencies.filter((ms) => ms > LATE_MS).length;
    this.latencies.push(...latencies);
    this.latePercents.push((100 * late) / latencies.length);
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
      `  ${summary(this.latencies.toSorted((a, b) => a - b))}`,
      `    late in each window, %: ${percents.join(' ')}; median ${median(this.latePercents).toFixed(2)}`,
      `    turns: ${lasted}; of their time on a processor: ${ran}; ${share.toFixed(1)} % of the time`,
      `    ${this.collectionsMs.length} garbage collections: ${longest(this.collectionsMs)}`,
    ].join('\n');
  }
}

/** Of at least one value. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.floor(middle)] as number) + (sorted[Math.ceil(middle) - 1] as number)) / 2;
}

function summary(latencies: readonly number[]): string {
  const at = (share: number): string =>
    (latencies[Math.min(latencies.length - 1, Math.floor(share * latencies.length))] ?? 0).toFixed(
      2,
    );
  const late = latencies.filter((each) => each > LATE_MS).length;
  const shares = `median ${at(0.5)}, 99 % ${at(0.99)}, 99.9 % ${at(0.999)}`;
  return `${latencies.length} hits: ${shares}, most ${at(1)} ms; ${late} over 1 ms`;
}
