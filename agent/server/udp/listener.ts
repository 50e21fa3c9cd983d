/** One bound UDP address: datagrams in, responses out; late responses go through the transport. */
import type { Clock } from '../../base/clock.ts';
import type { Client, Query } from '../../query/query.ts';
import type { QueryProcessor } from '../query-processor.ts';
import type { DatagramSink, UdpTransport } from './contract.ts';

/** Belongs to one transport: late responses go through the one that delivered the latest datagram. */
export class UdpListener implements DatagramSink {
  readonly #processor: QueryProcessor;
  readonly #clock: Clock;
  #arrivedMs = 0;
  #transport: UdpTransport | undefined;
  /** One function per batch slot, created once: the client's address is read only on request. */
  readonly #clients: (() => Client)[] = [];
  readonly #deliver = (response: Buffer, query: Query): void => {
    if (response.length > 0) this.#transport?.send(response, query.client);
  };

  constructor(processor: QueryProcessor, clock: Clock) {
    this.#processor = processor;
    this.#clock = clock;
  }

  /** Queries in progress. */
  get pending(): number {
    return this.#processor.pending;
  }

  batchStart(): void {
    this.#arrivedMs = this.#clock.nowMs();
  }

  batchEnd(): void {
    this.#processor.flushDurations();
  }

  datagram(
    transport: UdpTransport,
    slot: number,
    wire: Buffer,
    length: number,
    out: Buffer,
  ): number {
    this.#transport = transport;
    this.#clients[slot] ??= () => transport.clientOf(slot);
    const client = this.#clients[slot];
    const written = this.#processor.receive(
      wire,
      length,
      this.#arrivedMs,
      client,
      out,
      this.#deliver,
    );
    // Negative: no response now.
    return written < 0 ? 0 : written;
  }
}
