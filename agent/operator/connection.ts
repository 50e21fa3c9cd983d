/** One connection to the admin socket: reads one request, writes lines no faster than the command reads them. */
import type { Socket } from 'node:net';
import type { Clock, Timer } from '../base/clock.ts';
import { messageOf, UsageError } from '../base/errors.ts';
import type { AdminLine, AdminRequest } from './protocol.ts';

/** A longer request is refused. */
const MAX_REQUEST_CHARS = 4_096;
/** Time for the request to arrive. */
const REQUEST_MS = 5_000;
/** Time in which the command must read a line that does not fit into the socket's buffer. */
const READ_MS = 60_000;

/** Where a handler writes its lines. */
export interface Output {
  /** Whether the command has gone, or does not read. */
  readonly isClosed: boolean;
  /** Whether a line would have to wait for the command. */
  readonly isFull: boolean;
  /** Sends a line as soon as the command can take it. */
  write(line: AdminLine): Promise<void>;
  /** Sends a line if the command can take it now; returns whether it could. */
  offer(line: AdminLine): boolean;
  /** Resolves when the command can take a line, or has gone. */
  room(): Promise<void>;
  /** Resolves when the command has gone, or has said that it sends no more. */
  readonly departed: Promise<void>;
}

/** Answers one request. Throws UsageError for a request that makes no sense. */
export type RequestHandler = (request: AdminRequest, out: Output) => Promise<void>;

/** Serves one connection until it ends. Its memory is bounded by one request, one line and the socket's buffer. */
export class AdminConnection implements Output {
  /** Resolves when the connection has ended. */
  readonly closed: Promise<void>;
  readonly departed: Promise<void>;
  readonly #socket: Socket;
  readonly #clock: Clock;
  #isClosed = false;
  #request = '';
  #isAnswering = false;
  #deadline: Timer;
  #drained: (() => void) | undefined;

  constructor(socket: Socket, clock: Clock, handler: RequestHandler) {
    this.#socket = socket;
    this.#clock = clock;
    this.#deadline = clock.after(REQUEST_MS, () => socket.destroy());
    socket.setEncoding('utf8');
    // 'close' follows, whatever the reason.
    socket.on('error', () => undefined);
    socket.on('drain', () => this.#drained?.());
    socket.on('data', (chunk) => this.#onData(String(chunk), handler));
    const ended = new Promise<void>((resolve) => {
      socket.on('end', resolve);
    });
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.#isClosed = true;
        this.#deadline.cancel();
        this.#drained?.();
        resolve();
      });
    });
    this.departed = Promise.race([ended, this.closed]);
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get isFull(): boolean {
    return this.#isClosed || this.#socket.writableNeedDrain;
  }

  offer(line: AdminLine): boolean {
    if (this.isFull) return false;
    this.#socket.write(`${JSON.stringify(line)}\n`);
    return true;
  }

  async write(line: AdminLine): Promise<void> {
    await this.room();
    this.offer(line);
  }

  /** Ends the connection at once. */
  destroy(): void {
    this.#socket.destroy();
  }

  async room(): Promise<void> {
    if (this.#isClosed || !this.isFull) return;
    const deadline = this.#clock.after(READ_MS, () => this.#socket.destroy());
    await new Promise<void>((resolve) => {
      this.#drained = resolve;
    });
    this.#drained = undefined;
    deadline.cancel();
  }

  #onData(chunk: string, handler: RequestHandler): void {
    // What follows a request is not for the agent.
    if (this.#isAnswering) return;
    this.#request += chunk;
    const end = this.#request.indexOf('\n');
    if (end === -1 && this.#request.length <= MAX_REQUEST_CHARS) return;
    this.#isAnswering = true;
    this.#deadline.cancel();
    const text = this.#request.slice(0, Math.max(0, end));
    this.#request = '';
    void this.#answer(text, handler);
  }

  async #answer(text: string, handler: RequestHandler): Promise<void> {
    let last: AdminLine = { line: 'end' };
    try {
      await handler(requestOf(text), this);
    } catch (error) {
      const isUsage = error instanceof UsageError || error instanceof RangeError;
      last = { line: 'error', message: messageOf(error), isUsage };
    }
    await this.write(last);
    this.#socket.end();
    // A command that keeps its side open must not keep its place.
    this.#deadline = this.#clock.after(REQUEST_MS, () => this.#socket.destroy());
  }
}

function requestOf(text: string): AdminRequest {
  try {
    const value = JSON.parse(text) as { readonly command?: unknown } | null;
    if (typeof value?.command === 'string') return value as AdminRequest;
  } catch {
    // The error below says the same.
  }
  throw new UsageError('the request is not a JSON object with a command, in one line');
}
