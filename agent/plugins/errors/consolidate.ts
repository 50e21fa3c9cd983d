/** Errors of one kind as one line per window, with the operator's pattern as text. */
import type { Clock, Timer } from '../../base/clock.ts';
import { formatDuration } from '../../base/text/duration.ts';
import type { Pattern } from '../../base/text/pattern.ts';
import { DEDUPLICATE_BY, type Logger } from '../../query/services/log.ts';

/** One `consolidate` option. */
export interface ConsolidationOptions {
  readonly windowMs: number;
  readonly pattern: Pattern;
  /** The pattern as written in the Corefile. */
  readonly text: string;
  readonly level: keyof Logger;
  /** Whether the first error of a window is logged in full as well. */
  readonly showFirst: boolean;
}

/** Only this much of a message is matched: a pattern's cost grows with the text. */
const MATCHED_CHARS = 512;

/** Counts the errors that match one pattern, in windows that begin with an error. */
export class Consolidation {
  readonly #options: ConsolidationOptions;
  readonly #clock: Clock;
  readonly #log: Logger;
  #count = 0;
  #timer: Timer | undefined;

  constructor(options: ConsolidationOptions, clock: Clock, log: Logger) {
    this.#options = options;
    this.#clock = clock;
    this.#log = log;
  }

  get level(): keyof Logger {
    return this.#options.level;
  }

  /** Only the first `MATCHED_CHARS` characters of `message` are compared. */
  matches(message: string): boolean {
    return this.#options.pattern.test(message.slice(0, MATCHED_CHARS));
  }

  /** Counts one error. Returns true if it should be logged in full as well. The first error opens the window. */
  add(): boolean {
    this.#count++;
    if (this.#timer !== undefined) return false;
    this.#timer = this.#clock.after(this.#options.windowMs, () => this.end());
    return this.#options.showFirst;
  }

  /** Closes the window: one line with the number of errors, unless the only one was logged in full. */
  end(): void {
    const { level, text, windowMs, showFirst } = this.#options;
    const count = this.#count;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#count = 0;
    if (count === 0 || (count === 1 && showFirst)) return;
    const message = `${count} errors like '${text}' occurred in last ${formatDuration(windowMs)}`;
    const event = 'errors-consolidated';
    this.#log[level](
      { event, count, [DEDUPLICATE_BY]: `${event} ${text}` },
      `plugin/errors: ${message}`,
    );
  }
}
