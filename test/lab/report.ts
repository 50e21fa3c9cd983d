/** What the lab prints: steps, notes, and expectations with what was found. */
import { isDeepStrictEqual } from 'node:util';

const WIDTH = 46;
const MAX_SHOWN = 5;

export class Report {
  readonly #write: (text: string) => void;
  #held = 0;
  readonly #broken: string[] = [];
  #step = '';

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  get allHeld(): boolean {
    return this.#broken.length === 0;
  }

  act(title: string): void {
    this.#step = title;
    this.#line(`\n━━ ${title} ${'━'.repeat(Math.max(0, 76 - title.length))}`);
  }

  step(title: string): void {
    this.#step = title;
    this.#line(`\n${title}`);
  }

  note(text: string): void {
    for (const line of text.split('\n')) this.#line(`    ${line}`);
  }

  /** Expects `found` to equal `expected`, deeply. */
  same(label: string, found: unknown, expected: unknown): void {
    this.holds(label, isDeepStrictEqual(found, expected), found, expected);
  }

  /** Records whether an expectation held; `expected` is its text or value. */
  holds(label: string, held: boolean, found: unknown, expected: unknown): void {
    const text = `${label.padEnd(WIDTH)} ${show(found)}`;
    if (held) {
      this.#held += 1;
      this.#line(`  ✓ ${text}`);
    } else {
      this.#broken.push(`${this.#step}: ${label}`);
      this.#line(`  ✗ ${text}   expected ${show(expected)}`);
    }
  }

  /** A scenario that could not continue counts as a broken expectation. */
  broke(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    this.#broken.push(`${this.#step}: ${text.split('\n', 1)[0]}`);
    this.#line(`  ✗ ${text}`);
  }

  summary(): void {
    const all = this.#held + this.#broken.length;
    this.#line(`\n${this.#held} of ${all} expectations held.`);
    for (const broken of this.#broken) this.#line(`  ✗ ${broken}`);
  }

  #line(text: string): void {
    this.#write(`${text}\n`);
  }
}

function show(value: unknown): string {
  if (typeof value === 'string') return value === '' ? '(nothing)' : value;
  if (!Array.isArray(value)) return JSON.stringify(value);
  const shown = value.slice(0, MAX_SHOWN).map(show).join(', ');
  if (value.length > MAX_SHOWN) return `${shown} and ${value.length - MAX_SHOWN} more`;
  return value.length === 0 ? 'none' : shown;
}
