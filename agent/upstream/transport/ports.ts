/** This room's interfaces to sockets, narrow enough to script in tests. `node-sockets.ts` implements them. */
import type { Endpoint } from '../../base/address.ts';
import type { UpstreamTls } from '../../query/services/upstreams.ts';
import type { Failure } from './failure.ts';

/** Where a socket leads to. */
export interface Destination extends Endpoint {
  /** Address of the node that it sends from; undefined: the kernel chooses. */
  readonly from?: string | undefined;
}

/** A socket that is connected to one endpoint. */
export interface DatagramPort {
  /**
   * Sends, or queues until the socket is open. Errors are reported by `onError`. `message` must not change in this
   * turn.
   */
  send(message: Buffer): void;
  /** Idempotent; no event comes after it. */
  close(): void;
}

/** Calls from a datagram socket, until it is closed. */
export interface DatagramEvents {
  /** `address` and `port` are the sender's; `message` is valid only during the call. */
  onMessage(message: Buffer, address: string, port: number): void;
  /** The socket is unusable (refused, unreachable, out of descriptors). */
  onError(failure: Failure): void;
}

/** A TCP or TLS connection to one upstream. */
export interface StreamPort {
  /** Sends `chunk`, which must not change afterwards. Called only after `onOpen`. */
  write(chunk: Buffer): void;
  /** Ends the connection; written data is still sent. `onClose` follows. */
  end(): void;
  /** Drops the connection at once, with a reset if it was open. Idempotent; no event comes after it. */
  destroy(): void;
}

/**
 * Calls from a stream, in this order: `onHandshake`, `onOpen`, `onData`, `onClose`. A failed dial skips to `onClose`.
 */
export interface StreamEvents {
  /** The connection is open and TLS begins; not for plain streams. */
  onHandshake(): void;
  /** Ready for data. */
  onOpen(): void;
  /** `chunk` is valid only during the call. */
  onData(chunk: Buffer): void;
  /** Called once, whatever the reason; `errno` is undefined if the server closed normally. */
  onClose(errno: string | undefined): void;
}

/** Opens streams to one endpoint; no event fires during the call. */
export type Dial = (events: StreamEvents) => StreamPort;

/** No event fires during the call that creates a socket. */
export interface Sockets {
  datagram(to: Destination, events: DatagramEvents): DatagramPort;
  stream(to: Destination, events: StreamEvents): StreamPort;
  /** TLS streams that resume each other's sessions. Throws if certificates or keys are unusable. */
  secure(to: Destination, tls: UpstreamTls): Dial;
}
