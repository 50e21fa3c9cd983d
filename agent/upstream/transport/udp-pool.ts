/**
 * The UDP sockets of one upstream. Each has a random port from the kernel and is replaced after a number of queries or
 * seconds, so that an off-path forger must guess a changing port besides the ID (RFC 5452 §9.2).
 */

import type { Failure } from './failure.ts';
import type { PendingQuery } from './pending-query.ts';
import { type SocketContext, UdpSocket } from './udp-socket.ts';

const POOL_SOCKETS = 8;
/** Also bounds the queries in flight on one socket, far below the 65,536 IDs. */
const QUERIES_PER_SOCKET = 1_000;
const SOCKET_AGE_MS = 10_000;
/** Consecutive queries on one socket, so that those of one turn of the event loop are sent together. */
const QUERIES_IN_A_ROW = 16;

/** Up to eight sockets take new queries. A replaced socket stays open until its last query has ended. */
export class UdpPool {
  readonly #context: SocketContext;
  readonly #random: () => number;
  readonly #queriesPerSocket: number;
  readonly #slots = new Array<UdpSocket | undefined>(POOL_SOCKETS).fill(undefined);
  readonly #draining = new Set<UdpSocket>();
  /** The current slot, and how many more queries it gets. */
  #slot = 0;
  #slotLeft = 0;

  /** `random` in [0, 1) spreads queries over the sockets. `socketPerQuery`: no socket is used twice. */
  constructor(context: SocketContext, random: () => number, socketPerQuery: boolean) {
    this.#context = context;
    this.#random = random;
    this.#queriesPerSocket = socketPerQuery ? 1 : QUERIES_PER_SOCKET;
  }

  /** Sends; returns whether an open socket was used. */
  send(pending: PendingQuery): boolean {
    const slot = this.#slotFor(pending);
    const existing = this.#slots[slot];
    const usable = existing !== undefined && !this.#isSpent(existing);
    if (existing !== undefined && !usable) this.#retire(slot, existing);
    const socket = usable ? existing : this.#open(slot);
    socket.send(pending);
    return usable;
  }

  /** Replaces sockets that are too old. Called about once a second. */
  tidy(): void {
    for (const [slot, socket] of this.#slots.entries()) {
      if (socket !== undefined && this.#isSpent(socket)) this.#retire(slot, socket);
    }
  }

  /** Closes every socket at once; queries in flight fail with `failure`. */
  destroy(failure: Failure): void {
    const sockets = [...this.#slots, ...this.#draining];
    this.#slots.fill(undefined);
    this.#draining.clear();
    for (const socket of sockets) socket?.destroy(failure);
  }

  /** Another port may reach another endpoint behind a ClusterIP: a hedge uses the next slot. */
  #slotFor({ avoid }: PendingQuery): number {
    if (this.#slotLeft-- <= 0) {
      this.#slot = Math.floor(this.#random() * POOL_SOCKETS);
      this.#slotLeft = QUERIES_IN_A_ROW - 1;
    }
    const slot = this.#slot;
    const isAvoided = avoid !== undefined && this.#slots[slot] === avoid;
    return isAvoided ? (slot + 1) % POOL_SOCKETS : slot;
  }

  #open(slot: number): UdpSocket {
    const socket = new UdpSocket(this.#context, {
      onUseless: (useless) => this.#forget(useless),
      onDrained: (drained) => void this.#draining.delete(drained),
    });
    this.#slots[slot] = socket;
    return socket;
  }

  #isSpent(socket: UdpSocket): boolean {
    const ageMs = this.#context.clock.nowMs() - socket.openedMs;
    return socket.carried >= this.#queriesPerSocket || ageMs >= SOCKET_AGE_MS;
  }

  #retire(slot: number, socket: UdpSocket): void {
    this.#slots[slot] = undefined;
    this.#draining.add(socket);
    socket.drain();
  }

  #forget(socket: UdpSocket): void {
    const slot = this.#slots.indexOf(socket);
    if (slot !== -1) this.#slots[slot] = undefined;
    this.#draining.delete(socket);
  }
}
