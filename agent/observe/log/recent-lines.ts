/** The last lines of nodens' own log, for `nodens support` and `nodens top`: a container's log may be far away. */

const MAX_LINES = 100;
/** A longer line is cut. */
const MAX_CHARS = 1_000;

/** At most 100 lines, 100 kB. One for the process. */
export class RecentLines {
  #lines: string[] = [];

  /** Keeps a line, and forgets the oldest if there are too many. */
  add(line: string): void {
    this.#lines.push(line.length > MAX_CHARS ? `${line.slice(0, MAX_CHARS)}…` : line);
    // In one go now and then: shifting each time would copy all of them.
    if (this.#lines.length >= 2 * MAX_LINES) this.#lines = this.#lines.slice(-MAX_LINES);
  }

  /** Oldest first. */
  get all(): readonly string[] {
    return this.#lines.slice(-MAX_LINES);
  }
}
