/**
 * dnstap messages (dnstap.proto of dnstap.info) in Protocol Buffers' wire format: writing these few fields needs less
 * code than a library.
 */
import { addressBytes, type Endpoint, familyOf } from '../../base/address.ts';
import type { UpstreamProtocol } from '../../query/services/upstreams.ts';

/** Content type of the Frame Streams handshake. */
export const CONTENT_TYPE = 'protobuf:dnstap.Dnstap';

/** Values of `Message.Type` in dnstap.proto that are sent. */
export const MESSAGE = {
  clientQuery: 5,
  clientResponse: 6,
  forwarderQuery: 7,
  forwarderResponse: 8,
} as const;

/** `SocketProtocol`. */
const PROTOCOL: Readonly<Record<UpstreamProtocol, number>> = { udp: 1, tcp: 2, tls: 3, https: 4 };

/** Texts in every message. */
export interface Origin {
  readonly identity: string;
  readonly version: string;
  readonly extra: string;
}

/** A query, or the response to it. */
export interface TappedMessage {
  readonly type: (typeof MESSAGE)[keyof typeof MESSAGE];
  readonly protocol: UpstreamProtocol;
  /** Who asked; undefined for the agent itself. A TCP client may disconnect before its address is read: '' then. */
  readonly client: Endpoint | undefined;
  /** Address and port that received the query; undefined if the listener does not know. */
  readonly server: Endpoint | undefined;
  /** Milliseconds since the Unix epoch. */
  readonly queryMs: number;
  readonly responseMs?: number;
  /** The messages themselves; undefined unless complete messages are requested. */
  readonly query?: Uint8Array | undefined;
  readonly response?: Uint8Array | undefined;
}

const WIRE = { varint: 0, bytes: 2, fixed32: 5 } as const;
const TYPE_MESSAGE = 1;

/** One frame: a `Dnstap` of type MESSAGE. Fields without a value are omitted. */
export function encodeDnstap(message: TappedMessage, origin: Origin): Buffer {
  return Buffer.concat([
    ...text(1, origin.identity),
    ...text(2, origin.version),
    ...text(3, origin.extra),
    ...bytes(14, Buffer.concat(messageFields(message))),
    ...number(15, TYPE_MESSAGE),
  ]);
}

function messageFields(message: TappedMessage): Uint8Array[] {
  const { type, protocol, client, server, queryMs, responseMs, query, response } = message;
  const family = familyOf((client ?? server)?.address ?? '') ?? 4;
  return [
    ...number(1, type),
    ...number(2, family === 4 ? 1 : 2),
    ...number(3, PROTOCOL[protocol]),
    ...address(4, client),
    ...address(5, server),
    ...(client === undefined ? [] : number(6, client.port)),
    ...(server === undefined ? [] : number(7, server.port)),
    ...time(8, queryMs),
    ...(query === undefined ? [] : bytes(10, query)),
    ...(responseMs === undefined ? [] : time(12, responseMs)),
    ...(response === undefined ? [] : bytes(14, response)),
  ];
}

function address(field: number, endpoint: Endpoint | undefined): Uint8Array[] {
  const text = endpoint?.address ?? '';
  return text === '' ? [] : bytes(field, addressBytes(text));
}

/** Seconds in field `at`, nanoseconds in the next one. */
function time(at: number, ms: number): Uint8Array[] {
  const seconds = Math.floor(ms / 1_000);
  const nanoseconds = Buffer.alloc(4);
  nanoseconds.writeUInt32LE(Math.floor((ms - seconds * 1_000) * 1e6));
  return [...number(at, seconds), varint((at + 1) * 8 + WIRE.fixed32), nanoseconds];
}

function text(field: number, value: string): Uint8Array[] {
  return value === '' ? [] : bytes(field, Buffer.from(value));
}

function bytes(field: number, value: Uint8Array): Uint8Array[] {
  return [varint(field * 8 + WIRE.bytes), varint(value.length), value];
}

function number(field: number, value: number): Uint8Array[] {
  return [varint(field * 8 + WIRE.varint), varint(value)];
}

/** Seven bits a byte, lowest first; also beyond 32 bits. */
function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return Uint8Array.from(bytes);
}
