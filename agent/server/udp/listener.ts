/** One bound UDP address: datagrams in, responses out, late ones through the transport. */
import type { Clock } from '../../base/clock.ts';
import type { Client, Query } from '../../query/query.ts';
import type { QueryProcessor } from '../query-processor.ts';
import type { DatagramSink, UdpTransport } from './contract.ts';

export class UdpListener implements DatagramSink {
  readonly #processor: QueryProcessor;
  readonly #clock: Clock;
  #arrivedMs = 0;
  #transport: UdpTransport | undefined;
  /** One function per batch slot, made once: a query asks for its client only when somebody looks. */
  readonly #clients: (() => Client)[] = [];
  readonly #deliver = (response: Buffer, query: Query): void => {
    if (response.length > 0) this.#transport?.send(response, query.client);
  };

  constructor(processor: QueryProcessor, clock: Clock) {
    this.#processor = processor;
    this.#clock = clock;
  }

  /** Queries whose answer is still awaited. */
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
    // Negative where there is no response now.
    return written < 0 ? 0 : written;
  }
}
