/** One upstream, whichever groups use it: its sockets, its latency, whether it understands EDNS. */
import type { Endpoint } from '../base/address.ts';
import { formatEndpoint } from '../base/address.ts';
import type { Clock } from '../base/clock.ts';
import type { Transport } from '../query/query.ts';
import type { Metrics } from '../query/services.ts';
import type { Deadlines } from './deadlines.ts';
import { CLOSED, type Flight } from './flight.ts';
import type { IdSource } from './ids.ts';
import { TargetMeters } from './meters.ts';
import type { Failure, Sockets } from './ports.ts';
import { RoundTrip } from './round-trip.ts';
import { TcpPool } from './tcp-pool.ts';
import { UdpPool } from './udp-pool.ts';

/** How long queries go without OPT after an upstream refused one and took the query without (RFC 6891 §7). */
const PLAIN_MS = 600_000;

export interface TargetContext {
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly sockets: Sockets;
  readonly ids: IdSource;
  readonly random: () => number;
  readonly deadlines: Deadlines;
}

const RELEASED: Failure = { phase: 'wait', errno: CLOSED };

export class Target {
  readonly endpoint: Endpoint;
  /** `address:port`: the label `to`. */
  readonly name: string;
  readonly meters: TargetMeters;
  readonly tcp: TcpPool;
  readonly #clock: Clock;
  readonly #udp: UdpPool;
  readonly #roundTrips = { udp: new RoundTrip(), tcp: new RoundTrip() };
  #isClosed = false;
  #plainUntilMs = Number.NEGATIVE_INFINITY;

  constructor(endpoint: Endpoint, context: TargetContext) {
    this.endpoint = endpoint;
    this.name = formatEndpoint(endpoint);
    this.meters = new TargetMeters(context.metrics, this.name);
    this.#clock = context.clock;
    const socketContext = { ...context, endpoint, meters: this.meters };
    this.#udp = new UdpPool(socketContext, context.random);
    this.tcp = new TcpPool({ ...socketContext, roundTrip: this.#roundTrips.tcp });
  }

  /** Sends; returns whether an open socket or connection was used. */
  send(flight: Flight): boolean {
    if (this.#isClosed) {
      flight.owner.onFailure(flight, RELEASED);
      return false;
    }
    return flight.transport === 'udp' ? this.#udp.send(flight) : this.tcp.send(flight);
  }

  /** Learns from a reply to `flight`. */
  answered(flight: Flight): void {
    this.#roundTrips[flight.transport].sample(this.#clock.nowMs() - flight.sentMs);
  }

  patienceMs(transport: Transport): number {
    return this.#roundTrips[transport].patienceMs;
  }

  get understandsEdns(): boolean {
    return this.#clock.nowMs() >= this.#plainUntilMs;
  }

  rememberPlain(): void {
    this.#plainUntilMs = this.#clock.nowMs() + PLAIN_MS;
  }

  tidy(): void {
    this.#udp.tidy();
    this.tcp.tidy();
  }

  /** Closes everything; what is in flight fails. */
  close(): void {
    this.#isClosed = true;
    this.#udp.destroy(RELEASED);
    this.tcp.destroy(RELEASED);
  }
}
