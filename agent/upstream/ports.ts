/**
 * What this room needs from sockets: a port narrow enough to script in tests. `node-sockets.ts` is the real one;
 * another kind of stream (TLS) is another `StreamPort`.
 */
import type { Endpoint } from '../base/address.ts';
import type { Phase } from '../base/errors.ts';

/** What went wrong: where in the life of an attempt, and the system's name for it. */
export interface Failure {
  readonly phase: Phase;
  readonly errno: string;
}

/** A socket that talks to one endpoint only. */
export interface DatagramPort {
  /** Sends, or queues until the socket is open. Faults come as `onError`. `message` is not changed afterwards. */
  send(message: Buffer): void;
  /** Idempotent; no event comes after it. */
  close(): void;
}

export interface DatagramEvents {
  /** `address` and `port` are the sender's; `message` may be kept. */
  onMessage(message: Buffer, address: string, port: number): void;
  /** The socket is of no more use (refused, unreachable, out of descriptors). */
  onError(failure: Failure): void;
}

export interface StreamPort {
  write(chunk: Buffer): void;
  /** Ends the connection; what was written is still sent. `onClose` follows. */
  end(): void;
  /** Drops the connection at once. Idempotent; no event comes after it. */
  destroy(): void;
}

export interface StreamEvents {
  onOpen(): void;
  /** `chunk` is only valid during the call. */
  onData(chunk: Buffer): void;
  /** Once, whatever the reason; `errno` is undefined where the other side just closed. */
  onClose(errno: string | undefined): void;
}

/** Events never come from within the call that makes the socket. */
export interface Sockets {
  datagram(to: Endpoint, events: DatagramEvents): DatagramPort;
  stream(to: Endpoint, events: StreamEvents): StreamPort;
}
