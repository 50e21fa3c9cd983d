/** Memory that JavaScript and the addon share, and the messages that are sent outside a batch's slots. */

import { v6Key } from '../../base/clients/client-key.ts';

/** The same as in `native/udp/transport.h`. */
export const BATCH = 64;
/** Size of a `sockaddr_in6`, which has room for an address of either family. */
export const ADDRESS_BYTES = 28;
/** The sender's address, then the agent's address that it asked if the socket is a wildcard. */
export const PEER_BYTES = 48;
/** Maximum length of a message received, and of a reply written in place; longer replies are sent on their own. */
export const SLOT_BYTES = 4_096;

const AF_INET = 2;
/** Offset of the address in a sockaddr_in and in a sockaddr_in6. */
export const V4_AT = 4;
export const V6_AT = 8;

/** `clientKey` of the client whose address, as the kernel wrote it, is `peer`. */
export function socketClientKey(peer: Buffer): string {
  return peer[0] === AF_INET
    ? peer.latin1Slice(V4_AT, V4_AT + 4)
    : v6Key(peer.latin1Slice(V6_AT, V6_AT + 16));
}

declare const handleBrand: unique symbol;
/** An open socket of the addon; opaque to JavaScript. */
export type Handle = { readonly [handleBrand]: true };

/** Allocated once for each socket, or group of sockets, and never moved: the addon keeps pointers to them. */
export interface Buffers {
  readonly input: Buffer;
  readonly output: Buffer;
  readonly peers: Buffer;
  readonly inputLengths: Int32Array;
  readonly outputLengths: Int32Array;
  /** Messages sent at the end of a turn of the event loop, one after the other. */
  readonly deferred: Buffer;
  readonly deferredLengths: Int32Array;
  readonly deferredPeers: Buffer;
  readonly stats: Uint32Array;
  /** The sender of the last datagram that was discarded for want of room. */
  readonly shedPeer: Buffer;
}

/** Exports of `native/udp/exports.c`. `onBatch` gets the number of datagrams, or a negative errno. */
export interface BatchAddon {
  open(
    address: string,
    port: number,
    receiveBufferBytes: number,
    slotBytes: number,
    buffers: Buffers,
    onBatch: (count: number) => void,
  ): Handle;
  /** As `open`, connected to one peer. Such a socket does not keep the process alive. */
  connect: BatchAddon['open'];
  port(handle: Handle): number;
  /** Sends the first `count` of `deferred`; returns 0 or an errno. */
  sendDeferred(handle: Handle, count: number): number | undefined;
  /** Delivers up to a batch of what is in the receive queue; nothing when called from within a batch. */
  receiveNow(handle: Handle): void;
  /** Delivers what is still in the receive queue before it returns. */
  close(handle: Handle): Promise<void>;
}

/** `deferredBytes`: room for the messages of one turn of the event loop, and for the longest message. */
export function makeBuffers(deferredBytes: number): Buffers {
  return {
    input: Buffer.alloc(BATCH * SLOT_BYTES),
    output: Buffer.alloc(BATCH * SLOT_BYTES),
    peers: Buffer.alloc(BATCH * PEER_BYTES),
    inputLengths: new Int32Array(BATCH),
    outputLengths: new Int32Array(BATCH),
    deferred: Buffer.alloc(deferredBytes),
    deferredLengths: new Int32Array(BATCH),
    deferredPeers: Buffer.alloc(BATCH * PEER_BYTES),
    stats: new Uint32Array(3),
    shedPeer: Buffer.alloc(PEER_BYTES),
  };
}

/** One view for each slot of `whole`, created once. */
export function slotsOf(whole: Buffer): Buffer[] {
  return Array.from({ length: BATCH }, (_, slot) =>
    whole.subarray(slot * SLOT_BYTES, (slot + 1) * SLOT_BYTES),
  );
}

/** Messages of one turn of the event loop, sent by one system call at its end. */
export class DeferredReplies {
  readonly #buffers: Buffers;
  /** Sends the first `count` messages. */
  readonly #send: (count: number) => void;
  #count = 0;
  #bytes = 0;

  constructor(buffers: Buffers, send: (count: number) => void) {
    this.#buffers = buffers;
    this.#send = send;
  }

  /**
   * Copies `message`, at most as long as `deferred`; `peer`, one byte in each character, if the socket is not
   * connected.
   */
  put(message: Uint8Array, peer?: string): void {
    const { deferred, deferredLengths, deferredPeers } = this.#buffers;
    if (this.#count === BATCH || this.#bytes + message.length > deferred.length) this.flush();
    deferred.set(message, this.#bytes);
    if (peer !== undefined) deferredPeers.latin1Write(peer, this.#count * PEER_BYTES);
    deferredLengths[this.#count] = message.length;
    this.#bytes += message.length;
    if (this.#count++ === 0) setImmediate(this.flush);
  }

  readonly flush = (): void => {
    const count = this.#count;
    if (count === 0) return;
    this.#count = 0;
    this.#bytes = 0;
    this.#send(count);
  };
}
