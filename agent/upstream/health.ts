/**
 * Whether an upstream is fit for use. Nothing is asked of one that answers; after a fault it is probed at an interval
 * until it answers again (peer behaviour), and is down when more than `maxFails` probes in a row have failed.
 */
import type { Clock } from '../base/clock.ts';
import { CLASS, RCODE, TYPE } from '../dns/iana.ts';
import { type Reply, readReply } from '../dns/reply.ts';
import type { Transport } from '../query/query.ts';
import type {
  Counter,
  HealthCheckOptions,
  Logger,
  Metrics,
  UpstreamQuestion,
} from '../query/services.ts';
import { type Deadlines, type Expiring, NOT_WAITING } from './deadlines.ts';
import { Flight, type FlightOwner } from './flight.ts';
import type { Target } from './target.ts';

const PROBE_TIMEOUT_MS = 1_000;
/** Useless replies in a row, with no other between them, that put an upstream under suspicion. */
const USELESS_STREAK = 10;

/** What a server says that does not serve us: one such reply is about the name, only these are about the server. */
const USELESS_RCODES: ReadonlySet<number> = new Set([
  RCODE.FORMERR,
  RCODE.SERVFAIL,
  RCODE.NOTIMP,
  RCODE.REFUSED,
]);

/** How health is measured: what the Corefile says. */
export interface HealthSettings {
  readonly proxyName: string;
  readonly transport: Transport;
  readonly maxFails: number;
  readonly options: HealthCheckOptions;
}

export interface HealthContext {
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly metrics: Metrics;
  readonly log: Logger;
}

export class Health implements FlightOwner, Expiring {
  dueTick = NOT_WAITING;
  readonly #target: Target;
  readonly #settings: HealthSettings;
  readonly #context: HealthContext;
  readonly #failures: Counter;
  readonly #question: UpstreamQuestion;
  #probe: Flight | undefined;
  /** Failed probes in a row. */
  #fails = 0;
  #isProbing = false;
  #useless = 0;

  constructor(target: Target, settings: HealthSettings, context: HealthContext) {
    const { proxyName, options, transport } = settings;
    this.#target = target;
    this.#settings = settings;
    this.#context = context;
    const labels = { proxy_name: proxyName, to: target.name };
    this.#failures = context.metrics.counter('coredns_proxy_healthcheck_failures_total', labels);
    this.#question = {
      name: options.domain,
      type: TYPE.NS,
      class: CLASS.IN,
      recursionDesired: options.recursionDesired,
      checkingDisabled: false,
      dnssecOk: false,
      clientTransport: transport,
    };
  }

  /** More probes in a row have failed than are allowed. */
  get isDown(): boolean {
    return this.#fails > this.#settings.maxFails;
  }

  /** True between a fault and the next good answer. */
  get isSuspect(): boolean {
    return this.#isProbing;
  }

  /** An attempt failed or stays unanswered: probe until it answers. */
  suspect(): void {
    if (this.#isProbing) return;
    this.#isProbing = true;
    this.#send();
  }

  /** Judges a client's query that was answered. A good answer ends all suspicion, a row of useless ones raises it. */
  heard(rcode: number): void {
    if (!USELESS_RCODES.has(rcode)) {
      this.#recovered();
      return;
    }
    this.#useless++;
    if (this.#useless >= USELESS_STREAK) this.suspect();
  }

  /** Ends probing for good. */
  stop(): void {
    this.#calm();
  }

  onReply(flight: Flight, message: Buffer): void {
    this.#target.answered(flight);
    const reply = readReply(message);
    if (reply !== undefined && this.#isGood(reply)) this.#recovered();
    else this.#failed();
  }

  onFailure(): void {
    this.#failed();
  }

  onDeadline(): void {
    if (this.#probe === undefined) this.#send();
    else this.#failed();
  }

  /**
   * A server that cannot resolve the probe's name may well serve others, so the rcode counts only against one that
   * has been giving nothing else.
   */
  #isGood(reply: Reply): boolean {
    return this.#useless < USELESS_STREAK || !USELESS_RCODES.has(reply.rcode);
  }

  #send(): void {
    const { clock, deadlines } = this.#context;
    const edns = this.#target.understandsEdns;
    this.#probe = new Flight(this.#question, this.#settings.transport, edns, this);
    deadlines.set(this, clock.nowMs() + PROBE_TIMEOUT_MS);
    this.#target.send(this.#probe);
  }

  #failed(): void {
    this.#abandonProbe();
    const { clock, deadlines, log } = this.#context;
    const { maxFails, options } = this.#settings;
    this.#fails++;
    this.#failures.value++;
    const upstream = this.#target.name;
    if (this.#fails === maxFails + 1)
      log.warn({ upstream, failedProbes: this.#fails }, `upstream ${upstream} is down`);
    deadlines.set(this, clock.nowMs() + options.intervalMs);
  }

  #recovered(): void {
    const upstream = this.#target.name;
    if (this.isDown) this.#context.log.info({ upstream }, `upstream ${upstream} answers again`);
    this.#calm();
  }

  #calm(): void {
    this.#fails = 0;
    this.#useless = 0;
    if (!this.#isProbing) return;
    this.#isProbing = false;
    this.#abandonProbe();
    this.#context.deadlines.clear(this);
  }

  #abandonProbe(): void {
    this.#probe?.abandon();
    this.#probe = undefined;
  }
}
