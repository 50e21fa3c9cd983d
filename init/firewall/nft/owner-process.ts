/**
 * Without the addon: a child `nft -i` that owns tables (flag `owner`, Linux 5.12). No other process can change them, and
 * the kernel drops them when the child ends. init has the other end of its stdin, so the child ends with init, however
 * init ends.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Clock } from '../../../agent/base/clock.ts';
import { CommandError } from '../../node/exec.ts';
import type { Change } from './bytes/transaction.ts';

/** The kernel's nf_tables answers in milliseconds; a child that prints nothing for this long is stuck. */
const ANSWER_MS = 5_000;

/** A table that does not exist, listed after each line: nft's error shows that the line is done. */
const MARK = 'nodens_done_';
/** The third line of the error about a mark may arrive after the next line was written. */
const REST_OF_MARK = /^ *\^+\n?/;
const DROPPED = 'dropped';

/** Makes transactions so that tables they add belong to one process or socket; tests replace it. */
export interface TableOwner {
  /**
   * One transaction, as a line of nft and as data. Rejects with `CommandError`. Transactions run one after the other.
   */
  execute(line: string, change: Change): Promise<void>;
  /**
   * Drops all tables that it owns; waiting transactions are rejected. Resolves when they are gone, or after 5 s where a
   * child does not end; never rejects.
   */
  drop(): Promise<void>;
}

interface Waiting {
  readonly mark: string;
  readonly finish: (stderr: string | undefined) => void;
}

/** `TableOwner` by `nft -i`. A line without an answer for 5 s counts as lost: the child is dropped. */
export class NftOwnerProcess implements TableOwner {
  readonly #clock: Clock;
  readonly #onLost: () => void;
  #child: ChildProcess | undefined;
  #waiting: Waiting | undefined;
  #stderr = '';
  #lines: Promise<unknown> = Promise.resolve();
  #marks = 0;
  #drops = 0;
  /** Resolves when the last dropped child has ended. */
  #ended: Promise<void> = Promise.resolve();

  /** `onLost` is called when a child has ended without `drop`. */
  constructor(clock: Clock, onLost: () => void) {
    this.#clock = clock;
    this.#onLost = onLost;
  }

  execute(line: string): Promise<void> {
    const drops = this.#drops;
    const done = this.#lines.then(() => this.#execute(line, drops));
    this.#lines = done.catch(() => undefined);
    return done;
  }

  drop(): Promise<void> {
    const child = this.#child;
    this.#drops++;
    this.#child = undefined;
    this.#waiting?.finish(DROPPED);
    const runs = child?.pid !== undefined && child.exitCode === null && child.signalCode === null;
    if (runs) this.#ended = this.#end(child);
    return this.#ended;
  }

  /** For tests and logs. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Even a killed child may wait for the kernel's lock of the tables, so init waits only a limited time. */
  #end(child: ChildProcess): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.after(ANSWER_MS, () => resolve());
      child.once('exit', () => {
        timer.cancel();
        resolve();
      });
      child.kill('SIGKILL');
    });
  }

  /** A line from before a drop is not for the child after it. */
  async #execute(line: string, drops: number): Promise<void> {
    await this.#ended;
    if (drops !== this.#drops) throw new CommandError('nft -i', undefined, DROPPED);
    this.#child ??= this.#start();
    const child = this.#child;
    const mark = `${MARK}${++this.#marks}`;
    const stderr = await new Promise<string | undefined>((resolve) => {
      const timer = this.#clock.after(ANSWER_MS, () => {
        finish('no answer');
        void this.drop().then(this.#onLost);
      });
      const finish = (error: string | undefined): void => {
        timer.cancel();
        this.#waiting = undefined;
        resolve(error);
      };
      this.#stderr = '';
      this.#waiting = { mark, finish };
      child.stdin?.write(`${line}\nlist table inet ${mark}\n`);
    });
    if (stderr !== undefined) throw new CommandError('nft -i', undefined, stderr);
  }

  #start(): ChildProcess {
    const child = spawn('nft', ['-i'], {
      stdio: ['pipe', 'ignore', 'pipe'],
      env: { ...process.env, LC_ALL: 'C' },
    });
    // 'exit' or 'error' of the child follows, and is handled.
    child.stdin.on('error', () => undefined);
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (child === this.#child) this.#onStderr(text);
    });
    child.on('error', (error) => this.#lost(child, error.message));
    child.on('exit', (code, signal) => this.#lost(child, `ended: ${signal ?? code}`));
    return child;
  }

  /** nft reports an error in three lines: the reason, the command, and where in it. */
  #onStderr(text: string): void {
    this.#stderr += text;
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    const at = this.#stderr.indexOf(`list table inet ${waiting.mark}\n`);
    if (at === -1) return;
    const before = this.#stderr.slice(0, at).split('\n');
    // The last complete line before it is the error about the mark itself.
    const errors = before.slice(0, -2).join('\n').replace(REST_OF_MARK, '').trim();
    waiting.finish(errors === '' ? undefined : errors);
  }

  #lost(child: ChildProcess, reason: string): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    this.#waiting?.finish(reason);
    this.#onLost();
  }
}
