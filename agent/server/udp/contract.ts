/** The interface of a UDP transport, whether it moves packets one by one or in batches. */
import type { Endpoint } from '../../base/address.ts';
import type { Client } from '../../query/query.ts';
import type { Counter } from '../../query/services/metrics.ts';

/** Receives datagrams. The transport calls it on the main thread and never again after `close` has resolved. */
export interface DatagramSink {
  /** Called before the first datagram of a batch: one clock reading serves the batch. */
  batchStart(): void;
  /** Called after the last one, before the replies are sent. */
  batchEnd(): void;
  /**
   * One datagram: the first `length` bytes of `wire`, valid until this call returns. Writes the reply into `out` and
   * returns its length; 0 if there is none now (dropped, or sent later through `UdpTransport.send`). Never throws.
   */
  datagram(
    transport: UdpTransport,
    slot: number,
    wire: Buffer,
    length: number,
    out: Buffer,
  ): number;
}

/** One bound UDP socket. */
export interface UdpTransport {
  readonly endpoint: Endpoint;
  /** The sender of the datagram in `slot` of the current batch. */
  clientOf(slot: number): Client;
  /** Copies `bytes` and sends them to a client. A failed send is counted, never thrown. */
  send(bytes: Buffer, client: Client): void;
  /**
   * Sends what waits for the end of this turn, and delivers up to a batch of what has been received already, between two
   * events of other sockets. No effect in a transport that cannot.
   */
  exchangeNow(): void;
  /**
   * Delivers what has been received already, then closes the socket. Called from inside the sink, it delivers nothing
   * more.
   */
  close(): Promise<void>;
}

/** If the port of `endpoint` is 0, the kernel chooses one, and the transport's `endpoint` has it. */
export interface UdpOptions {
  readonly endpoint: Endpoint;
  readonly receiveBufferBytes: number;
  readonly sink: DatagramSink;
  /**
   * Datagrams that the kernel dropped because the receive buffer was full; stays 0 if the kernel does not report it.
   */
  readonly receiveDrops: Counter;
  /** A client sent `count` datagrams that were discarded, because the agent could not answer all of them in time. */
  readonly onFlood?: (client: Client, count: number) => void;
  /** A send failed, or the socket did. */
  readonly onError: (error: Error) => void;
}

/** Binds and starts to receive. Rejects with NetworkError (phase `bind`). */
export type OpenUdp = (options: UdpOptions) => Promise<UdpTransport>;
