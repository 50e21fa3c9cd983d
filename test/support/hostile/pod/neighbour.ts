/** A well-behaved client beside an attacker: it asks for cached names and records the answers. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { allowedMs } from '../../machine.ts';
import { queryWire } from '../../server/fixture.ts';

const NAME = 'neighbour.test';
const HOST = '127.0.0.1';
/** A second on an ordinary machine: a stub resolver retries after five. */
const IN_TIME_MS = await allowedMs(1_000);

export interface NeighbourOptions {
  /** Any of 127.0.0.0/8. */
  readonly localAddress?: string;
  /** The name of the nth query; by default one that is cached after the first. */
  readonly nameOf?: (asked: number) => string;
  /** A later answer counts as lost; a second by default. */
  readonly inTimeMs?: number;
}

/** One answer in time. */
export interface Answered {
  /** When it was asked, milliseconds since the epoch. */
  readonly atMs: number;
  readonly tookMs: number;
}

export interface Neighbourhood {
  readonly asked: number;
  /** Not answered in time, or with an error. */
  readonly lost: number;
  /** Latencies of the answers, ascending, milliseconds. */
  readonly tookMs: readonly number[];
  readonly answers: readonly Answered[];
}

/** Counts what was asked and answered. */
export function neighbourhoodOf(asked: number, answers: readonly Answered[]): Neighbourhood {
  const tookMs = answers.map((answer) => answer.tookMs).sort((a, b) => a - b);
  return { asked, lost: asked - answers.length, tookMs, answers };
}

/** An answer now to what was asked at `sentMs` of this process's `performance`. */
export function answeredNow(sentMs: number): Answered {
  return { atMs: performance.timeOrigin + sentMs, tookMs: performance.now() - sentMs };
}

/** Latency of one answer, milliseconds; undefined without one in time. */
export async function ask(port: number): Promise<number | undefined> {
  const neighbour = await Neighbour.open(port);
  neighbour.ask();
  const { tookMs } = await neighbour.close();
  return tookMs[0];
}

export class Neighbour {
  readonly #socket: Socket;
  readonly #port: number;
  readonly #nameOf: (asked: number) => string;
  readonly #inTimeMs: number;
  readonly #sentMs = new Map<number, number>();
  readonly #answers: Answered[] = [];
  #asked = 0;
  #asking: NodeJS.Timeout | undefined;

  private constructor(socket: Socket, port: number, options: NeighbourOptions) {
    this.#socket = socket;
    this.#port = port;
    this.#nameOf = options.nameOf ?? (() => NAME);
    this.#inTimeMs = options.inTimeMs ?? IN_TIME_MS;
    socket.on('message', (answer) => {
      const id = answer.readUInt16BE(0);
      const sentMs = this.#sentMs.get(id);
      const isGood = ((answer[3] as number) & 0x0f) === 0 && answer[7] === 1;
      if (sentMs !== undefined && isGood) this.#answers.push(answeredNow(sentMs));
      this.#sentMs.delete(id);
    });
  }

  /** A client with its own address, any of 127.0.0.0/8. */
  static async open(port: number, options: NeighbourOptions = {}): Promise<Neighbour> {
    const socket = createSocket('udp4');
    socket.bind(0, options.localAddress ?? '127.0.0.8');
    await once(socket, 'listening');
    // A failed test does not close it.
    socket.unref();
    return new Neighbour(socket, port, options);
  }

  ask(): void {
    const name = this.#nameOf(this.#asked);
    const id = this.#asked++ & 0xffff;
    this.#sentMs.set(id, performance.now());
    this.#socket.send(queryWire(name, id), this.#port, HOST);
  }

  /** Asks every `everyMs` from now on. */
  start(everyMs: number): void {
    this.#asking = setInterval(() => this.ask(), everyMs).unref();
  }

  /** Waits for pending answers. */
  async close(): Promise<Neighbourhood> {
    clearInterval(this.#asking);
    const endMs = performance.now() + this.#inTimeMs;
    while (this.#sentMs.size > 0 && performance.now() < endMs)
      await new Promise((resolve) => {
        setTimeout(resolve, 2);
      });
    this.#socket.close();
    const inTime = this.#answers.filter(({ tookMs }) => tookMs <= this.#inTimeMs);
    return neighbourhoodOf(this.#asked, inTime);
  }
}

/** The value below which a share `q` of ascending values lies. */
export function quantile(values: readonly number[], q: number): number {
  return values[Math.min(values.length - 1, Math.floor(values.length * q))] ?? Number.NaN;
}
