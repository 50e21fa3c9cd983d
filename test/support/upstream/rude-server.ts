/** A TCP server on fake sockets with limits: a number of queries for each connection, and for each write. */
import type { FakeStream } from './fake-sockets.ts';
import type { Fixture } from './fixture.ts';

export interface Manners {
  /** Answers before it closes a connection. */
  readonly inAll?: number;
  /** Number of queries it reads from each write; the others are lost. */
  readonly perWrite?: number;
  /** With RST in place of FIN. */
  readonly resets?: boolean;
  /** Stays open instead of closing, and reads no more. */
  readonly staysOpen?: boolean;
}

export class RudeServer {
  manners: Manners;
  readonly #network: Fixture;
  readonly #halfOpen = new Set<FakeStream>();
  readonly #seen = new Map<FakeStream, { batches: number; answers: number }>();

  constructor(network: Fixture, manners: Manners) {
    this.#network = network;
    this.manners = manners;
  }

  /** Connections it has seen, and queries on them. */
  get connections(): number {
    return this.#network.sockets.streams.length;
  }

  get queries(): number {
    return this.#network.sockets.streams.reduce((sum, { queries }) => sum + queries.length, 0);
  }

  /** Sends nothing more on `stream`, and does not close it. */
  forget(stream: FakeStream | undefined): void {
    if (stream !== undefined) this.#halfOpen.add(stream);
  }

  /** Answers queries for `ms` on the fake clock, each a millisecond after its arrival. */
  async serve(ms: number): Promise<void> {
    for (let i = 0; i < ms; i++) {
      for (const stream of [...this.#network.sockets.streams])
        if (stream.state === 'open' && !this.#halfOpen.has(stream)) this.#look(stream);
      await this.#network.clock.advance(1);
    }
  }

  #look(stream: FakeStream): void {
    const seen = this.#seen.get(stream);
    if (seen === undefined) {
      this.#seen.set(stream, { batches: 0, answers: 0 });
      stream.open();
      return;
    }
    const { inAll = Number.POSITIVE_INFINITY, perWrite, resets, staysOpen } = this.manners;
    for (; seen.batches < stream.batches.length; seen.batches++) {
      for (const query of (stream.batches[seen.batches] ?? []).slice(0, perWrite)) {
        if (stream.state !== 'open') return;
        if (seen.answers < inAll) stream.answer({ address: [192, 0, 2, 80] }, query);
        seen.answers++;
        if (seen.answers < inAll || staysOpen === true) continue;
        this.#close(stream, resets === true);
        return;
      }
    }
  }

  #close(stream: FakeStream, resets: boolean): void {
    if (stream.state !== 'open') return;
    stream.state = 'ended';
    stream.close(resets ? 'ECONNRESET' : undefined);
  }
}
