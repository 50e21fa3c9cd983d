/** `nodens top`: a live screen about the running agent. */
import { systemClock } from '../../../base/clock.ts';
import { messageOf, UsageError } from '../../../base/errors.ts';
import { parseDurationMs } from '../../../base/text/duration.ts';
import type { TopLine } from '../../../operator/protocol.ts';
import { type Arguments, maxWords, runCommand } from '../arguments.ts';
import { ask, askOnce } from '../asking.ts';
import { flushedText, withoutLine } from '../cache.ts';
import { print, printJson } from '../print.ts';
import { History } from './history.ts';
import { afterInput, FIRST_VIEW } from './keys.ts';
import { screenLines, type View } from './screen.ts';

const COLUMNS = 80;
/** Of one picture that is printed, and of a terminal. */
const ROWS = 40;
const TERMINAL_ROWS = 24;
const ENTER_SCREEN = '\u001b[?1049h\u001b[?25l';
const LEAVE_SCREEN = '\u001b[?25h\u001b[?1049l';
const HOME = '\u001b[H';
const END_OF_LINE = '\u001b[K\r\n';
const NOTE_MS = 5_000;
const REST_OF_SCREEN = '\u001b[J';

/** Resolves to the exit code (see the help text). Throws UsageError. */
export function topCommand(argv: readonly string[]): Promise<number> {
  return runCommand(argv, 'top', top);
}

async function top(args: Arguments): Promise<number> {
  maxWords(args.words, 0);
  const { paths, values, isJson } = args;
  const intervalMs = intervalOf(values.interval ?? '2s');
  const history = new History(await askOnce({ command: 'status' }, paths, 'status'));
  const end = new AbortController();
  const pictures = ask({ command: 'top', intervalMs }, paths, end.signal);
  const isOnce = values.once === 'true' || (!isJson && !process.stdout.isTTY);
  if (isJson || isOnce) return await printed(pictures, history, { isJson, isOnce });
  const screen = new Screen(history, end, paths);
  try {
    for await (const line of pictures) if (line.line === 'top') screen.show(line);
  } finally {
    screen.leave();
  }
  return 0;
}

function intervalOf(text: string): number {
  const intervalMs = parseDurationMs(text);
  if (intervalMs !== undefined && intervalMs >= 200 && intervalMs <= 60_000) return intervalMs;
  throw new UsageError(`flag -interval: "${text}" is no time from 200ms to 1m`);
}

async function printed(
  pictures: ReturnType<typeof ask>,
  history: History,
  { isJson, isOnce }: { readonly isJson: boolean; readonly isOnce: boolean },
): Promise<number> {
  for await (const line of pictures) {
    if (line.line !== 'top') continue;
    history.add(line);
    const columns = process.stdout.columns || COLUMNS;
    const lines = screenLines(history, FIRST_VIEW, columns, ROWS).slice(0, -1);
    await (isJson ? printJson(withoutLine(line)) : print(`${lines.join('\n')}\n`));
    if (isOnce) return 0;
  }
  return 0;
}

/** Draws on the terminal's second screen and reads its keys. */
class Screen {
  readonly #history: History;
  #view: View = FIRST_VIEW;
  readonly #paths: readonly string[];
  #hasLeft = false;
  readonly #onKey: (keys: Buffer) => void;

  constructor(history: History, end: AbortController, paths: readonly string[]) {
    this.#history = history;
    this.#paths = paths;
    this.#onKey = (keys) => {
      const view = afterInput(this.#view, keys.toString('utf8'), this.#topName());
      if (view === undefined) {
        end.abort();
        return;
      }
      this.#view = { ...view, toFlush: undefined };
      if (view.toFlush !== undefined) void this.#flush(view.toFlush);
      this.#draw();
    };
    const { stdin, stdout } = process;
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => end.abort());
    if (stdin.isTTY) stdin.setRawMode(true);
    stdin.on('data', this.#onKey);
    stdout.on('resize', () => this.#draw());
    stdout.write(ENTER_SCREEN);
    this.#draw();
  }

  /** The name on top of the list, without its type. */
  #topName(): string {
    const { sort, filter } = this.#view;
    return this.#history.heaviest('names', sort, filter)[0]?.key.split(' ')[0] ?? '';
  }

  /** Never rejects: the note says what became of it. */
  async #flush(name: string): Promise<void> {
    this.#view = { ...this.#view, note: `flushing ${name} …` };
    let note: string;
    try {
      const select = { name };
      const flushed = await askOnce({ command: 'cache-flush', select }, this.#paths, 'flushed');
      note = `${name}: ${flushedText(flushed).trimEnd()}`;
    } catch (error) {
      note = `${name}: ${messageOf(error)}`;
    }
    this.#view = { ...this.#view, note };
    this.#draw();
    // Longer than anyone reads; a key in the meantime shows its own effect.
    systemClock.after(NOTE_MS, () => {
      if (this.#view.note !== note) return;
      this.#view = { ...this.#view, note: '' };
      this.#draw();
    });
  }

  /** A paused screen keeps its picture. */
  show(picture: TopLine): void {
    if (this.#view.isPaused) return;
    this.#history.add(picture);
    this.#draw();
  }

  leave(): void {
    this.#hasLeft = true;
    const { stdin, stdout } = process;
    stdin.off('data', this.#onKey);
    if (stdin.isTTY) stdin.setRawMode(false);
    stdin.pause();
    stdout.write(LEAVE_SCREEN);
  }

  #draw(): void {
    if (this.#hasLeft) return;
    const { columns, rows } = process.stdout;
    // A terminal that does not know its size says 0.
    const size = [columns || COLUMNS, rows || TERMINAL_ROWS] as const;
    const lines = screenLines(this.#history, this.#view, ...size);
    process.stdout.write(HOME + lines.join(END_OF_LINE) + REST_OF_SCREEN);
  }
}
