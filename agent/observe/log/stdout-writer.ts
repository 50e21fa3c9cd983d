/**
 * Standard output, for the query log and for structured logs: lines of one turn of the event loop leave in one write,
 * which never waits for the reader. What does not fit the buffer is dropped and counted: an unread log must not cost an
 * answer.
 */
import { pino } from 'pino';
import type { Counter } from '../../query/services/metrics.ts';

/** Destination of lines. `write` never blocks; `flushSync` may. */
export interface Sink {
  write(text: string): void;
  flushSync(): void;
}

const MAX_BUFFER_BYTES = 1024 * 1024;
/** Maximum of one write system call; more than a pipe's buffer gains nothing. */
const MAX_WRITE_BYTES = 64 * 1024;

/** A sink on an open file descriptor that holds at most 1 MiB while the reader is slow. */
export function fileSink(fd: number, dropped: Counter): Sink {
  const stream = pino.destination({
    dest: fd,
    sync: false,
    maxLength: MAX_BUFFER_BYTES,
    maxWrite: MAX_WRITE_BYTES,
  });
  stream.on('drop', (text: string) => {
    dropped.value += countLines(text);
  });
  // The agent keeps answering if the reader has gone (EPIPE).
  stream.on('error', () => {
    dropped.value++;
  });
  return stream;
}

function countLines(text: string): number {
  let lines = 0;
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) lines++;
  return lines;
}

/** Collects the lines of one turn of the event loop for one write. Lines that do not fit are dropped and counted. */
export class LineWriter {
  readonly #sink: Sink;
  readonly #dropped: Counter;
  readonly #maxChars: number;
  #pending = '';

  /** `maxChars` limits how much one turn of the event loop may write. */
  constructor(sink: Sink, dropped: Counter, maxChars = MAX_BUFFER_BYTES) {
    this.#sink = sink;
    this.#dropped = dropped;
    this.#maxChars = maxChars;
  }

  /** Adds one line, given without its line feed. */
  readonly writeLine = (line: string): void => {
    if (this.#pending.length + line.length >= this.#maxChars) {
      this.#dropped.value++;
      return;
    }
    if (this.#pending === '') setImmediate(this.#flush);
    this.#pending += `${line}\n`;
  };

  /** Writes everything, waiting for the reader if necessary. For the end of the process. */
  flushSync(): void {
    this.#flush();
    this.#sink.flushSync();
  }

  readonly #flush = (): void => {
    const text = this.#pending;
    if (text === '') return;
    this.#pending = '';
    this.#sink.write(text);
  };
}
