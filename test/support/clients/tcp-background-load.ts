/**
 * Clients that ask over TCP without a pause until standard input ends: half of them keep their connection, as resolvers
 * with RFC 7766 do, half open one for each query.
 *
 *     node tcp-background-load.ts SERVER[,SERVER] CLIENTS
 *
 * CLIENTS is for each server. Prints `asking` once each server has answered, and in the end a line of JSON, a list with
 * one entry for each server: `answered`; `closed`: the server had sent FIN when a query was on its way, which
 * a client repeats; `reset`: connections cut with a query unanswered, or refused; `lost`: queries without an answer also
 * on a second connection; `slowestMs`; `gapMs`: the longest time some client was without an answer, counted from the
 * first query that found none at once.
 */
import { connect, isIPv6, type Socket } from 'node:net';
import { encode } from 'dns-packet';

const [servers = '', clients = '4'] = process.argv.slice(2);
const PATIENCE_MS = 3_000;
const PAUSE_MS = 10;
const isOver = { value: false };

interface Totals {
  readonly server: string;
  sent: number;
  answered: number;
  closed: number;
  reset: number;
  lost: number;
  slowestMs: number;
  gapMs: number;
}

type Outcome = 'answered' | 'closed' | 'reset' | 'timeout';

class Connection {
  readonly #socket: Socket;
  #received = Buffer.alloc(0);
  #settle: ((outcome: Outcome) => void) | undefined;
  /** Why the connection can take no more queries. */
  #over: Outcome | undefined;

  constructor(server: string) {
    this.#socket = connect({ host: server, port: 53, family: isIPv6(server) ? 6 : 4 });
    this.#socket.setNoDelay(true);
    this.#socket.on('data', (chunk) => this.#onData(chunk));
    this.#socket.on('end', () => this.#end('closed'));
    this.#socket.on('error', () => this.#end('reset'));
  }

  get isOver(): boolean {
    return this.#over !== undefined;
  }

  ask(name: string): Promise<Outcome> {
    const questions = [{ type: 'A' as const, name, class: 'IN' as const }];
    const query = encode({ type: 'query', id: 1, flags: 0x100, questions });
    const length = Buffer.from([query.length >> 8, query.length & 0xff]);
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#end('timeout'), PATIENCE_MS);
      this.#settle = (outcome) => {
        clearTimeout(timer);
        this.#settle = undefined;
        resolve(outcome);
      };
      if (this.#over !== undefined) this.#settle(this.#over);
      else this.#socket.write(Buffer.concat([length, query]));
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #onData(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    if (this.#received.length < 2) return;
    const length = 2 + this.#received.readUInt16BE(0);
    if (this.#received.length < length) return;
    this.#received = this.#received.subarray(length);
    this.#settle?.('answered');
  }

  /** A FIN in the middle of an answer truncates it as a reset does. */
  #end(outcome: Outcome): void {
    this.#over = outcome === 'closed' && this.#received.length > 0 ? 'reset' : outcome;
    this.#settle?.(this.#over);
    if (this.#over !== 'closed') this.#socket.destroy();
    else this.#socket.end();
  }
}

async function client(totals: Totals, keeps: boolean): Promise<void> {
  let connection = new Connection(totals.server);
  let unansweredSinceMs: number | undefined;
  for (let i = 0; !isOver.value; i++) {
    if (!keeps || connection.isOver) {
      connection.close();
      connection = new Connection(totals.server);
    }
    const startMs = performance.now();
    const name = `load${i % 200}.any.default.svc.cluster.local`;
    totals.sent++;
    let outcome = await connection.ask(name);
    if (outcome !== 'answered') {
      unansweredSinceMs ??= startMs;
      totals[outcome === 'closed' ? 'closed' : 'reset']++;
      connection.close();
      connection = new Connection(totals.server);
      outcome = await connection.ask(name);
    }
    if (outcome === 'answered') totals.answered++;
    else totals.lost++;
    const nowMs = performance.now();
    totals.slowestMs = Math.max(totals.slowestMs, Math.round(nowMs - startMs));
    if (unansweredSinceMs !== undefined)
      totals.gapMs = Math.max(totals.gapMs, nowMs - unansweredSinceMs);
    if (outcome === 'answered') unansweredSinceMs = undefined;
    await new Promise((resolve) => {
      setTimeout(resolve, PAUSE_MS);
    });
  }
  connection.close();
}

const all: Totals[] = servers.split(',').map((server) => ({
  ...{ server, sent: 0, answered: 0, closed: 0, reset: 0, lost: 0, slowestMs: 0, gapMs: 0 },
}));
process.stdin.resume().on('end', () => {
  isOver.value = true;
});
const saying = setInterval(() => {
  if (all.some(({ answered }) => answered === 0)) return;
  process.stdout.write('asking\n');
  clearInterval(saying);
}, PAUSE_MS);
const running = all.flatMap((totals) =>
  Array.from({ length: Number(clients) }, (_, i) => client(totals, i % 2 === 0)),
);
await Promise.all(running);
process.stdout.write(`${JSON.stringify(all)}\n`);
process.exit();
