/** One upstream with one set of settings: its sockets, its latency, what it accepts. */
import type { Endpoint } from '../base/address.ts';
import { familyOf, formatEndpoint } from '../base/address.ts';
import type { Clock } from '../base/clock.ts';
import type { Transport } from '../query/query.ts';
import type { Metrics } from '../query/services/metrics.ts';
import type { UpstreamTls } from '../query/services/upstreams.ts';
import { EdnsMemory } from './edns/memory.ts';
import { RoundTrip } from './health/round-trip.ts';
import type { Failure } from './transport/failure.ts';
import type { IdSource } from './transport/ids.ts';
import { CLOSED, type PendingQuery } from './transport/pending-query.ts';
import type { Destination, Sockets } from './transport/ports.ts';
import { TcpPool } from './transport/tcp/pool.ts';
import type { TimerWheel } from './transport/timer-wheel.ts';
import { UdpPool } from './transport/udp-pool.ts';
import { UpstreamMetrics, type WireStream } from './upstream-metrics.ts';

/** How long a failing transport is remembered. */
const MEMORY_MS = 600_000;
/** After so many replies in a row over the other transport, and none over the wanted one, the other is tried first. */
const TRANSPORT_STREAK = 3;

/**
 * A connection to a ClusterIP reaches one random endpoint: short lifetimes spread the load and find new endpoints. With
 * twenty connections a second, the loads of two endpoints seldom differ by more than a tenth over half a minute. At
 * 40,000 queries a second, a new connection for every 64 would cost a tenth of them.
 */
const TCP_LIFETIME = { ageMs: 30_000, queries: 64, youthMs: 50 };
/** A handshake is expensive, and operators of TLS servers balance load themselves. */
const TLS_LIFETIME = { ageMs: 600_000, queries: Number.POSITIVE_INFINITY, youthMs: 0 };

/** Settings of an upstream. Groups with the same settings share it. */
export interface UpstreamSettings {
  readonly tls: UpstreamTls | undefined;
  readonly expireMs: number;
  /** 0: no limit; undefined: the transport's default. */
  readonly maxAgeMs: number | undefined;
  readonly maxIdle: number;
  readonly readTimeoutMs: number | undefined;
  readonly randomizeCase: boolean;
  readonly socketPerQuery: boolean;
  readonly noEdns: boolean;
  readonly sourceAddress: string | undefined;
}

/**
 * What all upstreams of the process share. `random` is in [0, 1) and only spreads load; IDs and letter case use `ids`.
 */
export interface UpstreamContext {
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly sockets: Sockets;
  readonly ids: IdSource;
  readonly random: () => number;
  readonly timers: TimerWheel;
}

const RELEASED: Failure = { phase: 'wait', errno: CLOSED };

/** Created by `Registry.acquire`, and closed by it when the last user has released it. */
export class Upstream {
  readonly endpoint: Endpoint;
  /** `address:port`: the label `to`. */
  readonly name: string;
  readonly stream: WireStream;
  /** Address of the node that it is asked from; undefined: the kernel chooses. */
  readonly source: string | undefined;
  readonly metrics: UpstreamMetrics;
  /** EDNS support over each transport: often a middlebox on the path blocks EDNS. */
  readonly edns: Readonly<Record<Transport, EdnsMemory>>;
  readonly #clock: Clock;
  readonly #tcp: TcpPool;
  readonly #udp: UdpPool;
  readonly #roundTrips: Readonly<Record<Transport, RoundTrip>>;
  #isClosed = false;
  /** Replies in a row over the transport that was not wanted. */
  #detours = 0;
  #detour: Transport | undefined;
  #detourUntilMs = Number.NEGATIVE_INFINITY;

  /** Throws OpenSSL's error for unusable certificates. */
  constructor(endpoint: Endpoint, settings: UpstreamSettings, context: UpstreamContext) {
    const { tls, readTimeoutMs, randomizeCase } = settings;
    const { sockets, random } = context;
    this.endpoint = endpoint;
    this.name = formatEndpoint(endpoint);
    this.stream = tls === undefined ? 'tcp' : tls.https === undefined ? 'tls' : 'https';
    this.metrics = new UpstreamMetrics(context.metrics, this.name, this.stream);
    this.#clock = context.clock;
    const send = (pending: PendingQuery): void => void this.send(pending);
    const memory = (transport: Transport): EdnsMemory =>
      new EdnsMemory({ ...context, metrics: this.metrics, send }, transport, settings.noEdns);
    this.edns = { udp: memory('udp'), tcp: memory('tcp') };
    this.#roundTrips = { udp: new RoundTrip(readTimeoutMs), tcp: new RoundTrip(readTimeoutMs) };
    const { sourceAddress: from } = settings;
    const isOfFamily = from !== undefined && familyOf(from) === familyOf(endpoint.address);
    this.source = isOfFamily ? from : undefined;
    const destination: Destination = isOfFamily ? { ...endpoint, from } : endpoint;
    const shared = { ...context, endpoint: destination, metrics: this.metrics, randomizeCase };
    this.#udp = new UdpPool(shared, random, settings.socketPerQuery);
    const dial =
      tls === undefined
        ? sockets.stream.bind(sockets, destination)
        : sockets.secure(destination, tls);
    const streamContext = { ...shared, dial, roundTrip: this.#roundTrips.tcp };
    this.#tcp = new TcpPool(streamContext, poolSettings(settings), random);
  }

  /** Sends; returns whether an open socket or connection was used. */
  send(pending: PendingQuery): boolean {
    if (this.#isClosed) {
      pending.owner.onFailure(pending, RELEASED);
      return false;
    }
    const { transport } = pending;
    const wasOpen = transport === 'udp' ? this.#udp.send(pending) : this.#tcp.send(pending);
    this.edns[transport].lookBeside(pending);
    return wasOpen;
  }

  /** Learns from a reply to `pending`. */
  answered(pending: PendingQuery): void {
    const { transport } = pending;
    const waitMs = this.#clock.nowMs() - pending.writtenMs;
    this.#roundTrips[transport].sample(waitMs);
    this.metrics[transport].phases.wait.observe(waitMs / 1_000);
    if (!pending.edns) this.edns[transport].recordReply();
  }

  /** Milliseconds after which a reply is overdue; learned from earlier replies over the same transport. */
  timeoutMs(transport: Transport): number {
    return this.#roundTrips[transport].timeoutMs;
  }

  /** Milliseconds after which a health probe without a reply has failed, at least. */
  probeMs(transport: Transport): number {
    return this.#roundTrips[transport].probeMs;
  }

  /** Milliseconds after which a query may be hedged. */
  hedgeMs(transport: Transport): number {
    return this.#roundTrips[transport].hedgeMs;
  }

  /** Whether replies over the transport usually take 100 ms or longer. */
  isSlow(transport: Transport): boolean {
    return this.#roundTrips[transport].isSlow;
  }

  /** Whether it is asked over TLS, with HTTPS or without. */
  get isTls(): boolean {
    return this.stream !== 'tcp';
  }

  /** Whether a TCP or TLS connection is open, so that a query needs no handshake. */
  get hasOpenConnection(): boolean {
    return this.#tcp.hasOpen;
  }

  /** The transport to try first if `wanted` is requested. */
  transportFor(wanted: Transport): Transport {
    if (this.isTls) return 'tcp';
    if (this.#detour === undefined || this.#clock.nowMs() >= this.#detourUntilMs) return wanted;
    return this.#detour;
  }

  /** A reply came over `transport` after `wanted` had brought none. */
  fellBack(transport: Transport): void {
    this.#detours++;
    if (this.#detours < TRANSPORT_STREAK) return;
    this.#detour = transport;
    this.#detourUntilMs = this.#clock.nowMs() + MEMORY_MS;
  }

  /** A reply came over the wanted transport. */
  tookWay(transport: Transport): void {
    if (transport === this.#detour) return;
    this.#detours = 0;
    this.#detour = undefined;
  }

  /**
   * Replaces old UDP sockets, and closes connections that are idle for too long or dead. Called about once a second.
   */
  tidy(): void {
    this.#udp.tidy();
    this.#tcp.tidy();
  }

  /** Closes everything; queries in flight fail. */
  close(): void {
    this.#isClosed = true;
    this.edns.udp.close();
    this.edns.tcp.close();
    this.#udp.destroy(RELEASED);
    this.#tcp.destroy(RELEASED);
  }
}

function poolSettings(settings: UpstreamSettings): ConstructorParameters<typeof TcpPool>[1] {
  const { tls, expireMs, maxIdle, maxAgeMs } = settings;
  const { ageMs, queries, youthMs } = tls === undefined ? TCP_LIFETIME : TLS_LIFETIME;
  const asked = maxAgeMs === 0 ? Number.POSITIVE_INFINITY : maxAgeMs;
  return { expireMs, maxIdle, lifetime: { ageMs: asked ?? ageMs, queries, youthMs } };
}
