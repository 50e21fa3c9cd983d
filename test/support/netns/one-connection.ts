/** A client in a namespace that sends all its queries over one TCP connection. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { eventually } from './netns.ts';

const PROGRAM = new URL('../clients/one-connection.ts', import.meta.url).pathname;
const ANSWER_MS = 3_000;

export class OneConnection {
  readonly #child: ChildProcess;
  readonly #responses = new Map<number, string>();
  /** Events of the connection, in order: `connected`, `ended`, `broken CODE`. */
  readonly events: string[] = [];
  #sent = 0;

  private constructor(netns: string, args: readonly string[]) {
    const argv = ['netns', 'exec', netns, process.execPath, PROGRAM, ...args];
    this.#child = spawn('ip', argv, { stdio: ['pipe', 'pipe', 'inherit'] });
    if (this.#child.stdout === null) throw new Error('a client without standard output');
    // After a failed test it is still running: it ends with this process, and does not keep it alive.
    this.#child.unref();
    for (const stream of [this.#child.stdin, this.#child.stdout]) (stream as Socket).unref();
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      const [, id, rest] = /^(\d+) (.*)$/.exec(line) ?? [];
      if (id === undefined) this.events.push(line);
      else this.#responses.set(Number(id), rest as string);
    });
  }

  /** Resolves when the connection from `netns` (and `ownPort`, if given) to port 53 of `server` is open. */
  static async open(
    netns: { readonly name: string },
    server: string,
    ownPort?: number,
  ): Promise<OneConnection> {
    const client = new OneConnection(
      netns.name,
      ownPort === undefined ? [server] : [server, `${ownPort}`],
    );
    await eventually(`a connection to ${server}`, () => client.events.length > 0);
    if (client.events[0] !== 'connected') throw new Error(`${server}: ${client.events[0]}`);
    return client;
  }

  /** Sends a query; returns its number. */
  send(name: string, type: 'A' | 'TXT' = 'A'): number {
    this.#child.stdin?.write(`${type} ${name}\n`);
    this.#sent += 1;
    return this.#sent;
  }

  /** `RCODE DATA...` of query `id`; the last event of the connection without a response. */
  async response(id: number): Promise<string> {
    const isOver = (): boolean =>
      this.#responses.has(id) || this.events.some((event) => event.startsWith('broken'));
    await eventually('an answer', isOver, ANSWER_MS).catch(() => undefined);
    return this.#responses.get(id) ?? `no answer: ${this.events.join(', ')}`;
  }

  ask(name: string, type: 'A' | 'TXT' = 'A'): Promise<string> {
    return this.response(this.send(name, type));
  }

  async close(): Promise<void> {
    this.#child.stdin?.end();
    await eventually('the client to end', () => this.#child.exitCode !== null);
  }
}
