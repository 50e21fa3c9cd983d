/** One UDP socket of an upstream's pool and the queries in flight on it. */

import type { Endpoint } from '../../base/address.ts';
import type { Clock } from '../../base/clock.ts';
import type { TargetMeters } from '../upstream-metrics.ts';
import { randomCase } from './case-randomization.ts';
import type { Failure } from './failure.ts';
import { freeId, type IdSource } from './ids.ts';
import { matchReply } from './match.ts';
import type { Carrier, Flight } from './pending-query.ts';
import type { DatagramPort, Sockets } from './ports.ts';

export interface SocketContext {
  readonly clock: Clock;
  readonly sockets: Sockets;
  readonly ids: IdSource;
  readonly endpoint: Endpoint;
  readonly meters: TargetMeters;
  /** Whether questions over UDP go out in random letter case. */
  readonly randomizeCase: boolean;
}

export interface UdpSocketEvents {
  /** The socket has failed and is closed. */
  onUseless(socket: UdpSocket): void;
  /** A draining socket has closed. */
  onDrained(socket: UdpSocket): void;
}

export class UdpSocket implements Carrier {
  readonly phase = 'wait';
  /** Datagrams have nothing to do with each other. */
  readonly isProven = false;
  readonly openedMs: number;
  /** Queries it has carried, answered or not. */
  carried = 0;
  readonly #context: SocketContext;
  readonly #port: DatagramPort;
  readonly #inFlight = new Map<number, Flight>();
  readonly #events: UdpSocketEvents;
  #isDraining = false;
  #isClosed = false;

  constructor(context: SocketContext, events: UdpSocketEvents) {
    this.#context = context;
    this.#events = events;
    this.openedMs = context.clock.nowMs();
    context.meters.udp.connections.value++;
    this.#port = context.sockets.datagram(context.endpoint, {
      onMessage: (message, address, port) => this.#receive(message, address, port),
      onError: (failure) => this.#fail(failure),
    });
  }

  send(flight: Flight): void {
    const { ids, clock, meters, randomizeCase } = this.#context;
    flight.id = freeId(ids, this.#inFlight);
    if (randomizeCase) flight.spelling = randomCase(flight.question.name, ids);
    flight.sentMs = clock.nowMs();
    flight.writtenMs = flight.sentMs;
    flight.carrier = this;
    this.#inFlight.set(flight.id, flight);
    this.carried++;
    meters.udp.queries.value++;
    this.#port.send(flight.encode());
  }

  abandon(flight: Flight): void {
    this.#inFlight.delete(flight.id);
    this.#closeIfDrained();
  }

  late(): void {
    // Datagrams get lost one by one.
  }

  /** Sends no more; closes when the last query in flight has ended. */
  drain(): void {
    this.#isDraining = true;
    this.#closeIfDrained();
  }

  /** Closes at once and fails what is in flight. */
  destroy(failure: Failure): void {
    const orphans = [...this.#inFlight.values()];
    this.#inFlight.clear();
    this.#close();
    for (const flight of orphans) {
      flight.carrier = undefined;
      flight.owner.onFailure(flight, failure);
    }
  }

  #receive(message: Buffer, address: string, port: number): void {
    const { endpoint, meters } = this.#context;
    if (port !== endpoint.port || address !== endpoint.address) {
      meters.mismatched('source');
      return;
    }
    const match = matchReply(message, this.#inFlight);
    if (typeof match === 'string') {
      meters.mismatched(match);
      return;
    }
    this.#inFlight.delete(match.id);
    match.carrier = undefined;
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
    this.#context.meters.udp.connections.value--;
    this.#port.close();
  }
}
