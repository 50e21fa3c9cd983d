/** Every bound address of the agent: UDP and TCP together, one label each, kept over reloads. */
import { type Endpoint, formatEndpoint } from '../base/address.ts';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import { LIMITS } from '../base/limits.ts';
import type { MemoryLedger } from '../base/memory-ledger.ts';
import type { Limited, Logger, Metrics, ServerLabel, TcpPatience } from '../query/services.ts';
import { Admission, type AdmissionCounters } from './admission.ts';
import type { Dispatcher } from './dispatch.ts';
import { TcpClients } from './tcp/clients.ts';
import { TcpListener } from './tcp/listener.ts';
import type { ListenTcp } from './tcp/steer.ts';
import type { OpenUdp, UdpTransport } from './udp/contract.ts';
import { UdpListener } from './udp/listener.ts';

export interface ListenersOptions {
  readonly openUdp: OpenUdp;
  readonly listenTcp: ListenTcp;
  readonly dispatcher: Dispatcher;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly ledger: MemoryLedger;
  /** Most TCP connections at once. */
  readonly maxTcpConnections?: number;
  /** A client was limited: what it did, and its `clientKey`. */
  readonly onLimited: (what: Limited, key: string) => void;
}

interface Bound {
  readonly endpoint: Endpoint;
  readonly udp: UdpTransport;
  readonly tcp: TcpListener;
  readonly pending: () => number;
}

export class Listeners {
  readonly #options: ListenersOptions;
  readonly #labels = new Map<string, ServerLabel>();
  readonly #bound = new Map<string, Bound>();
  readonly #tcpClients: TcpClients;
  /** By listener index; holds for listeners to come, too. */
  #patience: readonly (TcpPatience | undefined)[] = [];

  constructor(options: ListenersOptions) {
    this.#options = options;
    this.#tcpClients = new TcpClients(options.ledger, options.maxTcpConnections);
  }

  /** The label of an address; the same object for ever, so that its series go on over reloads. */
  label(endpoint: Endpoint): ServerLabel {
    const label = `dns://${formatEndpoint(endpoint)}`;
    const known = this.#labels.get(label);
    if (known !== undefined) return known;
    const made = { index: this.#labels.size, label };
    this.#labels.set(label, made);
    return made;
  }

  get endpoints(): Endpoint[] {
    return Array.from(this.#bound.values(), (bound) => bound.endpoint);
  }

  /** Queries whose answer is still awaited, all listeners together; while draining also clients still being served. */
  get pending(): number {
    let sum = 0;
    for (const bound of this.#bound.values()) sum += bound.pending();
    return sum;
  }

  /**
   * Binds those of `endpoints` that are not bound yet. Rejects with NetworkError (phase `bind`) after releasing what
   * this call has bound: all or nothing.
   */
  async open(endpoints: readonly Endpoint[]): Promise<void> {
    const opened: string[] = [];
    try {
      for (const endpoint of endpoints) {
        const key = formatEndpoint(endpoint);
        if (this.#bound.has(key)) continue;
        this.#bound.set(key, await this.#bind(endpoint));
        opened.push(key);
      }
    } catch (error) {
      await Promise.all(opened.map((key) => this.#close(key)));
      throw error;
    }
  }

  /** Closes every listener that is not in `endpoints`. */
  async retain(endpoints: readonly Endpoint[]): Promise<void> {
    const keep = new Set(endpoints.map(formatEndpoint));
    const gone = Array.from(this.#bound.keys()).filter((key) => !keep.has(key));
    await Promise.all(gone.map((key) => this.#close(key)));
  }

  /**
   * Sets the patience with TCP clients of every listener, now and later; the default where `byServer`, by index, says
   * nothing.
   */
  bePatient(byServer: readonly (TcpPatience | undefined)[]): void {
    this.#patience = byServer;
    for (const { endpoint, tcp } of this.#bound.values()) tcp.patience = this.#patienceAt(endpoint);
  }

  #patienceAt(endpoint: Endpoint): TcpPatience {
    return this.#patience[this.label(endpoint).index] ?? {};
  }

  /** TCP clients get the answers they have asked for and are told to go; UDP goes on until `close`. */
  drain(): void {
    for (const bound of this.#bound.values()) bound.tcp.drain();
  }

  async close(): Promise<void> {
    await this.retain([]);
  }

  async #close(key: string): Promise<void> {
    const bound = this.#bound.get(key);
    this.#bound.delete(key);
    await Promise.all([bound?.udp.close(), bound?.tcp.close()]);
  }

  async #bind(endpoint: Endpoint): Promise<Bound> {
    const { clock, openUdp, listenTcp, metrics } = this.#options;
    const { label } = this.label(endpoint);
    const udpAdmission = this.#admission(endpoint, 'udp');
    const sink = new UdpListener(udpAdmission, clock);
    const tcpAdmission = this.#admission(endpoint, 'tcp');
    const tcp = await TcpListener.open({
      endpoint,
      listen: listenTcp,
      admission: tcpAdmission,
      clock,
      clients: this.#tcpClients,
      connections: metrics.gauge('nodens_tcp_connections', { listener: label }),
      rejected: metrics.counter('nodens_tcp_rejected_total', { listener: label }),
      onClosed: this.#options.onLimited,
      onCrowded: (key) => this.#options.onLimited('connections', key),
      onError: (error) => this.#acceptFailed(label, error),
    });
    tcp.patience = this.#patienceAt(endpoint);
    // UDP last: with SO_REUSEADDR its bind takes the address over, so nothing may fail behind it.
    const udp = await openUdp({
      endpoint,
      receiveBufferBytes: LIMITS.udpReceiveBufferBytes.default,
      sink,
      receiveDrops: metrics.counter('nodens_udp_receive_drops_total', { listener: label }),
      onError: (error) => this.#udpFailed(label, error),
    }).catch(async (error: unknown) => {
      await tcp.close();
      throw error;
    });
    const pending = (): number => udpAdmission.pending + tcpAdmission.pending + tcp.owed;
    return { endpoint, udp, tcp, pending };
  }

  #admission(endpoint: Endpoint, transport: 'udp' | 'tcp'): Admission {
    const { dispatcher, clock } = this.#options;
    const server = this.label(endpoint);
    return new Admission(server, transport, dispatcher, clock, this.#counters(server.label));
  }

  #counters(listener: string): AdmissionCounters {
    const { metrics } = this.#options;
    const dropped = (reason: string) =>
      metrics.counter('nodens_packets_dropped_total', { listener, reason });
    const malformed = (verdict: string) =>
      metrics.counter('nodens_malformed_queries_total', { listener, verdict });
    return {
      tooShort: dropped('short'),
      notAQuery: dropped('response'),
      formErr: malformed('formerr'),
      notImp: malformed('notimp'),
      badVers: malformed('badvers'),
    };
  }

  #acceptFailed(listener: string, error: Error): void {
    const { metrics, log } = this.#options;
    metrics.counter('nodens_tcp_rejected_total', { listener }).value++;
    log.warn({ listener }, `a TCP client could not be accepted: ${messageOf(error)}`);
  }

  #udpFailed(listener: string, error: Error): void {
    const { metrics, log } = this.#options;
    metrics.counter('nodens_packets_dropped_total', { listener, reason: 'send' }).value++;
    log.debug({ listener }, `a response could not be sent: ${messageOf(error)}`);
  }
}
