/** What a UDP transport gives and takes, whether it moves packets one by one or in batches. */
import type { Endpoint } from '../../base/address.ts';
import type { Client } from '../../query/query.ts';
import type { Counter } from '../../query/services/metrics.ts';

/** Receives datagrams. The transport calls it on the main thread and never again after `close` has resolved. */
export interface DatagramSink {
  /** Before the first datagram of a batch: one clock reading serves the batch. */
  batchStart(): void;
  /** Behind its last one, before the replies leave. */
  batchEnd(): void;
  /**
   * One datagram: the first `length` octets of `wire`, valid until this call returns. Writes the reply into `out` and
   * returns its length; 0 when there is none now (dropped, or sent later through `UdpTransport.send`). Never throws.
   */
  datagram(
    transport: UdpTransport,
    slot: number,
    wire: Buffer,
    length: number,
    out: Buffer,
  ): number;
}

export interface UdpTransport {
  readonly endpoint: Endpoint;
  /** Who sent the datagram in `slot` of the batch being handled. */
  clientOf(slot: number): Client;
  /** Sends `bytes`, of which it takes a copy, to a client. A failed send is counted, never thrown. */
  send(bytes: Buffer, client: Client): void;
  /**
   * Hands over what has been received already, then closes the socket. Called from inside the sink it hands over
   * nothing more.
   */
  close(): Promise<void>;
}

export interface UdpOptions {
  readonly endpoint: Endpoint;
  readonly receiveBufferBytes: number;
  readonly sink: DatagramSink;
  /** Datagrams the kernel dropped because the receive buffer was full; stays 0 where it does not say. */
  readonly receiveDrops: Counter;
  /** A send failed, or the socket did. */
  readonly onError: (error: Error) => void;
}

/** Binds and starts to receive. Rejects with NetworkError (phase `bind`). */
export type OpenUdp = (options: UdpOptions) => Promise<UdpTransport>;
