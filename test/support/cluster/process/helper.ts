/** A script of our own inside a namespace, which does what it is told: messages to it and a reply to each. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Netns } from '../netns.ts';
import { within } from './wait.ts';

const REPLY_MS = 240_000;

/** One job at a time is under way; others wait for it. */
export class Helper {
  readonly #child: ChildProcess;
  readonly #name: string;
  #last: Promise<unknown> = Promise.resolve();

  /** Starts the script at `file`; it gets messages by `process.on('message')`. */
  constructor(netns: Netns, file: URL) {
    this.#name = file.pathname;
    const [program = '', ...args] = netns.argv(process.execPath, file.pathname);
    this.#child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  }

  /** Sends `message`; resolves to the reply. Rejects if the script ends, or says nothing for four minutes. */
  ask<Reply>(message: object): Promise<Reply> {
    const asked = this.#last.then(() => this.#exchange<Reply>(message));
    this.#last = asked.catch(() => undefined);
    return asked;
  }

  /** Sends `message` that has no reply, also while a job is under way. */
  notify(message: object): void {
    this.#child.send(message);
  }

  end(): void {
    this.#child.kill();
  }

  async #exchange<Reply>(message: object): Promise<Reply> {
    let fail: (error: Error) => void = () => undefined;
    const reply = new Promise<{ reply: Reply }>((resolve, reject) => {
      fail = reject;
      this.#child.once('message', (text) => resolve({ reply: text as Reply }));
    });
    const ended = (): void => fail(new Error(`${this.#name} has ended`));
    this.#child.once('exit', ended);
    try {
      if (this.#child.exitCode !== null || !this.#child.connected) ended();
      else this.#child.send(message);
      const got = await within(reply, REPLY_MS);
      if (got === undefined) throw new Error(`${this.#name}: no reply`);
      return got.reply;
    } finally {
      this.#child.off('exit', ended);
    }
  }
}
