/**
 * Connected UDP sockets for queries to one upstream, through the addon: the messages of one turn of the event loop move
 * together.
 */
import { getSystemErrorName } from 'node:util';
import type { Endpoint } from '../../base/address.ts';
import { errnoOf, type Phase } from '../../base/errors.ts';
import {
  type BatchAddon,
  DeferredReplies,
  type Handle,
  makeBuffers,
  SLOT_BYTES,
  slotsOf,
} from './addon-buffers.ts';

/** Holds the replies that arrive while the agent is busy: a burst of a thousand. */
const RECEIVE_BUFFER_BYTES = 1024 * 1024;
/** The agent's own queries are short. */
const DEFERRED_BYTES = 32 * 1024;

/** Sockets looked at between two events of other sockets, half a microsecond each: there may be one for each query. */
const LOOKS = 16;

/** Phases in which a connected UDP socket can fail. */
export type ConnectedPhase = Extract<Phase, 'connect' | 'wait'>;

/** Calls from a connected socket, until it is closed. */
export interface ConnectedEvents {
  /** `message` is only valid during the call. */
  onMessage(message: Buffer): void;
  /** The system's error name: no socket could be opened (`connect`), or the server is unreachable (`wait`). */
  onError(errno: string, phase: ConnectedPhase): void;
}

/** A UDP socket with one upstream. The kernel drops datagrams from other senders. */
export interface ConnectedUdp {
  /** Copies `message`. */
  send(message: Uint8Array): void;
  /** Idempotent; no event comes after it. */
  close(): void;
}

/** Opens a socket to `to`, which does not keep the process alive. No event fires during the call. */
export type ConnectUdp = (to: Endpoint, events: ConnectedEvents) => ConnectedUdp;

/** All connected sockets of a process. */
export interface ConnectedSockets {
  readonly connect: ConnectUdp;
  /**
   * Sends what waits for the end of this turn, and delivers what sockets that wait for a reply have received, between two
   * events of other sockets: up to a batch each, of some sockets in turn.
   */
  exchangeNow(): void;
}

/** All sockets of one opener share their buffers, so a process needs only one opener. */
export function connectedOpener(addon: BatchAddon): ConnectedSockets {
  const shared = new Shared(addon);
  return {
    connect: (to, events) => new ConnectedSocket(shared, to, events),
    exchangeNow: () => shared.exchangeNow(),
  };
}

/** Each batch is handled and each turn's messages are sent before the next, so all sockets share this memory. */
class Shared {
  readonly addon: BatchAddon;
  readonly buffers = makeBuffers(DEFERRED_BYTES);
  readonly inputs = slotsOf(this.buffers.input);
  readonly #outbox = new DeferredReplies(this.buffers, (count) => this.#sender?.sendNow(count));
  /** Open sockets that wait for a reply; the first is the next to be looked at. */
  readonly waiting = new Set<ConnectedSocket>();
  /** Whether `buffers` have a batch that is being handled. */
  isInBatch = false;
  /** The socket whose messages are in the outbox. */
  #sender: ConnectedSocket | undefined;

  constructor(addon: BatchAddon) {
    this.addon = addon;
  }

  send(sender: ConnectedSocket, message: Uint8Array): void {
    if (this.#sender !== sender) this.flush();
    this.#sender = sender;
    this.#outbox.put(message);
  }

  flush(): void {
    this.#outbox.flush();
  }

  exchangeNow(): void {
    if (this.isInBatch) return;
    this.flush();
    let left = Math.min(LOOKS, this.waiting.size);
    for (const socket of this.waiting) {
      if (left-- === 0) break;
      this.waiting.delete(socket);
      this.waiting.add(socket);
      socket.receiveNow();
    }
  }
}

class ConnectedSocket implements ConnectedUdp {
  readonly #shared: Shared;
  readonly #events: ConnectedEvents;
  readonly #handle: Handle | undefined;
  /** Messages sent without a reply so far. */
  #unanswered = 0;
  #isClosed = false;

  constructor(shared: Shared, { address, port }: Endpoint, events: ConnectedEvents) {
    this.#shared = shared;
    this.#events = events;
    const { addon, buffers } = shared;
    const onBatch = (count: number): void => this.#batch(count);
    try {
      const sizes = [RECEIVE_BUFFER_BYTES, SLOT_BYTES] as const;
      this.#handle = addon.connect(address, port, ...sizes, buffers, onBatch);
    } catch (error) {
      this.#failLater(errnoOf(error), 'connect');
    }
  }

  send(message: Uint8Array): void {
    if (this.#isClosed || this.#handle === undefined) return;
    if (this.#unanswered++ === 0) this.#shared.waiting.add(this);
    this.#shared.send(this, message);
  }

  /** Sends the first `count` messages of the outbox. */
  sendNow(count: number): void {
    if (this.#isClosed || this.#handle === undefined) return;
    const errno = this.#shared.addon.sendDeferred(this.#handle, count) ?? 0;
    if (errno !== 0) this.#failLater(getSystemErrorName(-errno), 'wait');
  }

  receiveNow(): void {
    if (!this.#isClosed && this.#handle !== undefined) this.#shared.addon.receiveNow(this.#handle);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#shared.flush();
    this.#shared.waiting.delete(this);
    this.#isClosed = true;
    if (this.#handle !== undefined) void this.#shared.addon.close(this.#handle);
  }

  #batch(count: number): void {
    const { buffers, inputs } = this.#shared;
    this.#unanswered = Math.max(0, this.#unanswered - Math.max(0, count));
    if (this.#unanswered === 0) this.#shared.waiting.delete(this);
    // A socket that is closed within a batch delivers what it has left.
    const isNested = this.#shared.isInBatch;
    this.#shared.isInBatch = true;
    try {
      if (count < 0) this.#fail(getSystemErrorName(count), 'wait');
      for (let slot = 0; slot < count && !this.#isClosed; slot++) {
        const length = buffers.inputLengths[slot] as number;
        this.#events.onMessage((inputs[slot] as Buffer).subarray(0, length));
      }
    } finally {
      this.#shared.isInBatch = isNested;
    }
  }

  #failLater(errno: string, phase: ConnectedPhase): void {
    setImmediate(() => this.#fail(errno, phase));
  }

  #fail(errno: string, phase: ConnectedPhase): void {
    if (!this.#isClosed) this.#events.onError(errno, phase);
  }
}
