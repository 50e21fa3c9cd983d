/**
 * Whether an upstream is fit for use: a circuit breaker. A working upstream gets no probes, except one that records
 * what its answer looks like in good times. After a fault it is probed until it answers again, as in CoreDNS. It is
 * down when more than `maxFails` probes in a row have failed, or when for a second there were only faults, and several
 * of them. Then it gets only probes (docs/architecture.md, invariant 7).
 */
import type { Clock } from '../../base/clock.ts';
import { CLASS, TYPE } from '../../dns/iana.ts';
import { acceptReply, type Rejection } from '../../dns/reply/accept.ts';
import type { Reply } from '../../dns/reply.ts';
import type { Transport } from '../../query/query.ts';
import type { Logger } from '../../query/services/log.ts';
import type { Counter, Metrics } from '../../query/services/metrics.ts';
import type { HealthCheckOptions, UpstreamQuestion } from '../../query/services/upstreams.ts';
import type { Failure } from '../transport/failure.ts';
import { isLack, tlsRemedy } from '../transport/failure.ts';
import { PendingQuery, type PendingQueryOwner } from '../transport/pending-query.ts';
import { type Expiring, NOT_WAITING, type TimerWheel } from '../transport/timer-wheel.ts';
import type { Upstream } from '../upstream.ts';
import { isUseless, Usefulness } from './usefulness.ts';

/** An upstream that pauses for less than this is slow, not down. */
const DOWN_AFTER_MS = 1_000;
/** Faults, of queries and probes alike, that one lost packet cannot explain. */
const DOWN_FAULTS = 3;

/**
 * When a probe records how useful its answer is in good times: soon after the first good answer, later if there was
 * none, and seldom if the answer is useless.
 */
const FIRST_BASELINE_MS = 2_000;
const NEXT_BASELINE_MS = 30_000;
const BASELINE_MS = 600_000;

/** Health settings from the Corefile. */
export interface HealthSettings {
  readonly proxyName: string;
  readonly transport: Transport;
  readonly maxFails: number;
  readonly options: HealthCheckOptions;
}

/** What all health checks of the process share. */
export interface HealthContext {
  readonly clock: Clock;
  readonly timers: TimerWheel;
  readonly metrics: Metrics;
  readonly log: Logger;
  /** Uniform in [0, 1): keeps a thousand nodes from probing at the same time. */
  readonly random: () => number;
}

/** From the best. `slow`: answers, but late. `suspect`: probed after a fault, but still in use. */
export const HEALTH_STATES = ['up', 'slow', 'suspect', 'down'] as const;
export type HealthState = (typeof HEALTH_STATES)[number];

/**
 * `GroupMember` reports replies with `recordReply` and failures with `fault`. No probe is sent before the first report.
 */
export class Health implements PendingQueryOwner, Expiring {
  dueTick = NOT_WAITING;
  dueBefore: Expiring | undefined;
  dueAfter: Expiring | undefined;
  /** The latest failure. */
  lastFailure: Failure = { phase: 'wait', errno: 'ETIMEDOUT' };
  readonly #upstream: Upstream;
  readonly #settings: HealthSettings;
  readonly #context: HealthContext;
  readonly #failures: Counter;
  readonly #question: UpstreamQuestion;
  readonly #usefulness = new Usefulness();
  #probe: PendingQuery | undefined;
  /** Whether the upstream has ever given a useful answer to the probe. */
  #knowsProbe = false;
  #lookMs: number | undefined;
  /** Failed probes in a row. */
  #fails = 0;
  /** Faults since the last good answer, and the time of the first one. */
  #faults = 0;
  #faultySinceMs = 0;
  #isProbing = false;
  #isDown = false;
  #nextTrialMs = Number.NEGATIVE_INFINITY;

  constructor(upstream: Upstream, settings: HealthSettings, context: HealthContext) {
    this.#upstream = upstream;
    this.#settings = settings;
    this.#context = context;
    const labels = { proxy_name: settings.proxyName, to: upstream.name };
    this.#failures = context.metrics.counter('coredns_proxy_healthcheck_failures_total', labels);
    this.#question = probeQuestion(settings);
  }

  get isDown(): boolean {
    return this.#isDown;
  }

  /** True between a fault and the next good answer. */
  get isSuspect(): boolean {
    return this.#isProbing;
  }

  get state(): HealthState {
    if (this.#isDown) return 'down';
    if (this.#isProbing) return 'suspect';
    const transport = this.#upstream.transportFor(this.#settings.transport);
    return this.#upstream.isSlow(transport) ? 'slow' : 'up';
  }

  /** An attempt failed or is overdue: probes until the upstream answers. */
  fault(failure: Failure): void {
    this.#count(failure);
    this.#suspect();
  }

  /** Evaluates the reply to a client's query. A good one ends all suspicion; many useless ones in a row raise it. */
  recordReply(rcode: number, name: Uint8Array): void {
    if (!isUseless(rcode)) {
      this.#recovered();
      if (!this.#knowsProbe) this.#look();
      return;
    }
    this.#usefulness.recordReply(rcode, name);
    if (this.#usefulness.isInDoubt) this.#suspect();
  }

  /**
   * Whether a client's query may go to an upstream that is down: one that answers, but nothing useful, may fail the
   * probe's name and still serve others. At most one such query per interval.
   */
  takeTrial(): boolean {
    const nowMs = this.#context.clock.nowMs();
    if (!this.#usefulness.isInDoubt || nowMs < this.#nextTrialMs) return false;
    this.#nextTrialMs = nowMs + this.#settings.options.intervalMs;
    return true;
  }

  /** Stops probing permanently. */
  stop(): void {
    this.#calm();
    this.#endProbe();
  }

  onReply(pending: PendingQuery, message: Buffer): void {
    this.#upstream.answered(pending);
    const reply = acceptReply(message, pending.question, pending.randomizedName);
    if (typeof reply === 'string') this.#upstream.metrics.mismatched(reply);
    const isUseful = typeof reply !== 'string' && !isUseless(reply.rcode);
    if (isUseful) this.#knowsProbe = true;
    if (!this.#isProbing) {
      this.#looked(reply, isUseful);
    } else if (isUseful || (typeof reply !== 'string' && !this.#usefulness.isInDoubt)) {
      // A server that cannot resolve the probe's name may still serve others, so the rcode counts only in doubt.
      this.#recovered();
    } else if (typeof reply !== 'string' && !this.#knowsProbe) {
      // It may give the same answer in good times: doubt, but no fault.
      this.#abandonProbe();
      this.#lives();
    } else {
      this.#failed({ phase: 'match', errno: 'EBADMSG' });
    }
  }

  /** A probe that could not be sent for a local reason proves nothing: the next one is still due. */
  onFailure(_probe: PendingQuery, failure: Failure): void {
    if (!this.#isProbing) this.#endProbe();
    else if (!isLack(failure)) this.#failed(failure);
    else this.#abandonProbe();
  }

  /** The next probe is due; if the previous one has no reply yet, it has failed. */
  onDeadline(): void {
    if (!this.#isProbing) {
      this.#endProbe();
      return;
    }
    if (this.#probe !== undefined) this.#failed({ phase: this.#probe.phase, errno: 'ETIMEDOUT' });
    this.#send();
  }

  /**
   * Probes a healthy upstream from time to time. Later, an error in reply to the probe proves an outage only if the
   * probe was once answered. Clients' names alone are no proof, because a single client may have chosen them.
   */
  #look(): void {
    const nowMs = this.#context.clock.nowMs();
    this.#lookMs ??= nowMs + FIRST_BASELINE_MS;
    if (nowMs < this.#lookMs || this.#probe !== undefined) return;
    this.#lookMs = nowMs + NEXT_BASELINE_MS;
    this.#send();
  }

  #looked(reply: Reply | Rejection, isUseful: boolean): void {
    this.#endProbe();
    if (typeof reply !== 'string' && !isUseful)
      this.#lookMs = this.#context.clock.nowMs() + BASELINE_MS;
  }

  #suspect(): void {
    if (this.#isProbing) return;
    this.#isProbing = true;
    if (this.#probe === undefined) this.#send();
  }

  #send(): void {
    const { clock, timers, random } = this.#context;
    const { options, transport: wanted } = this.#settings;
    const transport = this.#upstream.transportFor(wanted);
    const edns = this.#upstream.edns[transport].takeProbe();
    const probe = new PendingQuery(this.#question, transport, edns, this, 'probe');
    this.#probe = probe;
    const jitteredMs = options.intervalMs * (0.75 + random() / 2);
    const waitMs = Math.max(jitteredMs, this.#upstream.probeMs(transport));
    timers.set(this, clock.nowMs() + waitMs);
    this.#upstream.send(probe);
  }

  #failed(failure: Failure): void {
    this.#abandonProbe();
    this.#fails++;
    this.#failures.value++;
    this.#count(failure);
  }

  #count(failure: Failure): void {
    const nowMs = this.#context.clock.nowMs();
    if (this.#faults === 0) this.#faultySinceMs = nowMs;
    this.#faults++;
    this.lastFailure = failure;
    if (this.#isDown) return;
    const isGone = this.#faults >= DOWN_FAULTS && nowMs - this.#faultySinceMs >= DOWN_AFTER_MS;
    if (!isGone && this.#fails <= this.#settings.maxFails) return;
    this.#isDown = true;
    const upstream = this.#upstream.name;
    const remedy = tlsRemedy(failure);
    const fields = {
      event: 'upstream-down',
      upstream,
      failedProbes: this.#fails,
      ...failure,
      ...(remedy !== undefined && { remedy }),
    } as const;
    this.#context.log.warn(
      fields,
      `upstream ${upstream} is down: queries avoid it, probes continue`,
    );
  }

  #recovered(): void {
    this.#lives();
    this.#calm();
  }

  #lives(): void {
    const upstream = this.#upstream.name;
    if (this.#isDown) this.#context.log.info({ upstream }, `upstream ${upstream} answers again`);
    this.#fails = 0;
    this.#faults = 0;
    this.#isDown = false;
  }

  #calm(): void {
    this.#usefulness.reset();
    if (!this.#isProbing) return;
    this.#isProbing = false;
    this.#endProbe();
  }

  #endProbe(): void {
    this.#abandonProbe();
    this.#context.timers.clear(this);
  }

  #abandonProbe(): void {
    this.#probe?.abandon();
    this.#probe = undefined;
  }
}

/** The probe's question: the Corefile sets it, and no client can influence it. */
export function probeQuestion({ options, transport }: HealthSettings): UpstreamQuestion {
  return {
    name: options.domain,
    type: TYPE.NS,
    class: CLASS.IN,
    recursionDesired: options.recursionDesired,
    checkingDisabled: false,
    dnssecOk: false,
    clientTransport: transport,
  };
}
