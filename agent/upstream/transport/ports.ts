/** What this room needs from sockets: ports narrow enough to script in tests. `node-sockets.ts` is the real one. */
import type { Endpoint } from '../../base/address.ts';
import type { UpstreamTls } from '../../query/services/upstreams.ts';
import type { Failure } from './failure.ts';

/** A socket that talks to one endpoint only. */
export interface DatagramPort {
  /** Sends, or queues until the socket is open. Faults come as `onError`. `message` is not changed in this turn. */
  send(message: Buffer): void;
  /** Idempotent; no event comes after it. */
  close(): void;
}

export interface DatagramEvents {
  /** `address` and `port` are the sender's; `message` is only valid during the call. */
  onMessage(message: Buffer, address: string, port: number): void;
  /** The socket is of no more use (refused, unreachable, out of descriptors). */
  onError(failure: Failure): void;
}

export interface StreamPort {
  write(chunk: Buffer): void;
  /** Ends the connection; what was written is still sent. `onClose` follows. */
  end(): void;
  /** Drops the connection at once, with a reset where it was open. Idempotent; no event comes after it. */
  destroy(): void;
}

export interface StreamEvents {
  /** The connection is there and TLS begins; not for plain streams. */
  onHandshake(): void;
  /** Ready for data. */
  onOpen(): void;
  /** `chunk` is only valid during the call. */
  onData(chunk: Buffer): void;
  /** Once, whatever the reason; `errno` is undefined where the other side just closed. */
  onClose(errno: string | undefined): void;
}

/** Opens streams to one endpoint; events never come from within the call. */
export type Dial = (events: StreamEvents) => StreamPort;

/** Events never come from within the call that makes the socket. */
export interface Sockets {
  datagram(to: Endpoint, events: DatagramEvents): DatagramPort;
  stream(to: Endpoint, events: StreamEvents): StreamPort;
  /** TLS streams that resume each other's sessions. Throws where certificates or keys are unusable. */
  secure(to: Endpoint, tls: UpstreamTls): Dial;
}
