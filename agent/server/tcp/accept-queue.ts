/**
 * Connections that the kernel has accepted and that wait for their client's turn. To make a connection costs twenty times
 * what a query costs: a client that opens a hundred at once must not delay the one of another client.
 */
import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import { type Accepted, type AcceptNext, RECEIVE_BUFFER_BYTES } from './reuseport-takeover.ts';
import type { TcpScheduler } from './scheduler.ts';

/** Share of the room that one client may have: its further connections are closed at once. */
const CLIENT_SHARE = 0.5;
/** Accepted in one turn of the event loop, a full backlog: clients may connect as fast as the agent accepts. */
const MAX_IN_TURN = 1_024;
/** Cost of making one, in messages: eight in a turn of the event loop. */
const COST = 16;
/**
 * All connections are read into one buffer. A socket that is left to itself gets 64 KiB of new memory for each read, which
 * costs more than the read, and makes V8 collect garbage. The kernel holds no more for a socket.
 */
const received = Buffer.allocUnsafeSlow(RECEIVE_BUFFER_BYTES);

/** Connections of all listeners that wait, each with a descriptor; more than `max` stay in the kernel's backlog. */
export interface WaitingRoom {
  readonly max: number;
  count: number;
}

export interface AcceptQueueParts {
  readonly room: WaitingRoom;
  readonly acceptNext: AcceptNext;
  readonly scheduler: TcpScheduler;
  readonly onSocket: (socket: Socket) => void;
  /** The client `key` had too many that wait: one was closed. */
  readonly onCrowded: (key: string) => void;
}

/** One for each listener. */
export class AcceptQueue {
  readonly #parts: AcceptQueueParts;
  readonly #waiting = new Set<Accepted>();
  readonly #countByClient = new Map<string, number>();

  constructor(parts: AcceptQueueParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** Takes what is in the kernel's backlog. Only to be called while the listener listens, once a turn. */
  fill(): void {
    const { acceptNext, onCrowded, scheduler, room } = this.#parts;
    for (let left = MAX_IN_TURN; left > 0 && room.count < room.max; left--) {
      const accepted = acceptNext();
      if (accepted === undefined) return;
      scheduler.event();
      if ((this.#countByClient.get(accepted.key) ?? 0) < room.max * CLIENT_SHARE) {
        this.#put(accepted);
        continue;
      }
      closeSync(accepted.descriptor);
      onCrowded(accepted.key);
    }
  }

  /** Closes all of them. */
  close(): void {
    for (const accepted of this.#waiting) closeSync(accepted.descriptor);
    this.#parts.room.count -= this.#waiting.size;
    this.#waiting.clear();
    this.#countByClient.clear();
  }

  #put(accepted: Accepted): void {
    const { key } = accepted;
    this.#waiting.add(accepted);
    this.#parts.room.count++;
    this.#countByClient.set(key, (this.#countByClient.get(key) ?? 0) + 1);
    this.#parts.scheduler.enqueue({ key, work: () => this.#make(accepted) });
  }

  #make(accepted: Accepted): void {
    // Closed meanwhile.
    if (!this.#waiting.delete(accepted)) return;
    this.#parts.room.count--;
    const { key, descriptor } = accepted;
    const left = (this.#countByClient.get(key) ?? 1) - 1;
    if (left === 0) this.#countByClient.delete(key);
    else this.#countByClient.set(key, left);
    const { scheduler, onSocket } = this.#parts;
    scheduler.spend(COST);
    onSocket(socketOf(descriptor));
  }
}

/** A socket whose data is valid only during its event 'data'. */
function socketOf(descriptor: number): Socket {
  const callback = (bytes: number): boolean => socket.emit('data', received.subarray(0, bytes));
  const onread = { buffer: received, callback };
  const socket = new Socket({ fd: descriptor, allowHalfOpen: true, onread });
  return socket;
}
