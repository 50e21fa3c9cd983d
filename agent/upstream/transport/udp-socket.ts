/** One UDP socket of an upstream's pool and the queries in flight on it. */

import type { Clock } from '../../base/clock.ts';
import { RenewedMap } from '../../base/renewed-map.ts';
import { buildQuery } from '../../dns/build.ts';
import type { UpstreamMetrics } from '../upstream-metrics.ts';
import { randomCase } from './case-randomization.ts';
import type { Failure } from './failure.ts';
import { freeId, type IdSource } from './ids.ts';
import { matchReply } from './match.ts';
import type { Connection, PendingQuery } from './pending-query.ts';
import type { DatagramPort, Destination, Sockets } from './ports.ts';

/** What all sockets and connections of one upstream share. */
export interface SocketContext {
  readonly clock: Clock;
  readonly sockets: Sockets;
  readonly ids: IdSource;
  readonly endpoint: Destination;
  readonly metrics: UpstreamMetrics;
  /** Whether questions over UDP are sent in random letter case. */
  readonly randomizeCase: boolean;
}

/** Calls to the pool, which forgets the socket. */
export interface UdpSocketEvents {
  /** The socket has failed and is closed. */
  onUseless(socket: UdpSocket): void;
  /** A draining socket has closed. */
  onDrained(socket: UdpSocket): void;
}

/** Opens at construction. Datagrams from another address or port than the upstream's are counted and ignored. */
export class UdpSocket implements Connection {
  readonly phase = 'wait';
  /** Datagrams are independent of each other. */
  readonly isProven = false;
  readonly openedMs: number;
  /** Queries sent, answered or not. */
  carried = 0;
  readonly #context: SocketContext;
  readonly #port: DatagramPort;
  readonly #inFlight = new RenewedMap<number, PendingQuery>();
  readonly #events: UdpSocketEvents;
  #isDraining = false;
  #isClosed = false;

  constructor(context: SocketContext, events: UdpSocketEvents) {
    this.#context = context;
    this.#events = events;
    this.openedMs = context.clock.nowMs();
    context.metrics.udp.connections.value++;
    this.#port = context.sockets.datagram(context.endpoint, {
      onMessage: (message, address, port) => this.#receive(message, address, port),
      onError: (failure) => this.#fail(failure),
    });
  }

  /** Gives the query an unused random ID, and random letter case if the group wants it, and sends it. */
  send(pending: PendingQuery): void {
    const { ids, clock, metrics, randomizeCase } = this.#context;
    pending.id = freeId(ids, this.#inFlight);
    if (randomizeCase) pending.randomizedName = randomCase(pending.question.name, ids);
    pending.sentMs = clock.nowMs();
    pending.writtenMs = pending.sentMs;
    pending.connection = this;
    this.#inFlight.set(pending.id, pending);
    this.carried++;
    metrics.udp.queries.value++;
    this.#port.send(buildQuery(pending));
  }

  abandon(pending: PendingQuery): void {
    this.#inFlight.delete(pending.id);
    this.#closeIfDrained();
  }

  late(): void {
    // A late datagram says nothing about the others.
  }

  /** Accepts no more queries; closes when the last one in flight has ended. */
  drain(): void {
    this.#isDraining = true;
    this.#closeIfDrained();
  }

  /** Closes at once and fails the queries in flight. */
  destroy(failure: Failure): void {
    const unanswered = this.#inFlight.takeAll();
    this.#close();
    for (const pending of unanswered) {
      pending.connection = undefined;
      pending.owner.onFailure(pending, failure);
    }
  }

  #receive(message: Buffer, address: string, port: number): void {
    const { endpoint, metrics } = this.#context;
    if (port !== endpoint.port || address !== endpoint.address) {
      metrics.mismatched('source');
      return;
    }
    const match = matchReply(message, this.#inFlight);
    if (typeof match === 'string') {
      metrics.mismatched(match);
      return;
    }
    this.#inFlight.delete(match.id);
    match.connection = undefined;
    match.owner.onReply(match, message);
    this.#closeIfDrained();
  }

  #fail(failure: Failure): void {
    this.#events.onUseless(this);
    this.destroy(failure);
  }

  #closeIfDrained(): void {
    if (!this.#isDraining || this.#inFlight.size > 0) return;
    this.#close();
    this.#events.onDrained(this);
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#context.metrics.udp.connections.value--;
    this.#port.close();
  }
}
