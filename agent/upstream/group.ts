/** The upstreams of one forward directive. */
import { addressBytes, type Endpoint, formatAddress } from '../base/address.ts';
import { DnsError } from '../base/errors.ts';
import { EDE, RCODE } from '../dns/iana.ts';
import type { Transport } from '../query/query.ts';
import type {
  Counter,
  Metrics,
  UpstreamGroup,
  UpstreamGroupOptions,
  UpstreamQuestion,
  UpstreamReply,
} from '../query/services.ts';
import type { Checks } from './checks.ts';
import { Exchange, type ExchangeContext, type Plan } from './exchange.ts';
import type { HealthSettings } from './health.ts';
import { Member } from './member.ts';
import { Order } from './policy.ts';
import type { Registry } from './registry.ts';

/** Attempts for one query where the Corefile does not say: twice round (peer), and a lost packet's worth. */
const ROUNDS = 2;
const MIN_ATTEMPTS = 3;

export interface GroupContext extends ExchangeContext {
  readonly metrics: Metrics;
  readonly random: () => number;
  readonly registry: Registry;
  readonly checks: Checks;
  /** Queries under way in all groups together. */
  readonly load: { inFlight: number; readonly limit: number };
}

export class Group implements UpstreamGroup {
  readonly members: readonly Member[];
  readonly #context: GroupContext;
  readonly #options: UpstreamGroupOptions;
  readonly #healthSettings: HealthSettings;
  readonly #order: Order<Member>;
  readonly #rejects: Counter;
  readonly #allDown: Counter;
  #inFlight = 0;
  #isReleased = false;
  #isDetached = false;

  constructor(options: UpstreamGroupOptions, context: GroupContext) {
    const { metrics, random } = context;
    this.#options = options;
    this.#context = context;
    const { name: proxyName, maxFails, forceTcp, healthCheck } = options;
    const transport = forceTcp ? 'tcp' : 'udp';
    this.#healthSettings = { proxyName, transport, maxFails, options: healthCheck };
    this.#order = new Order(options.policy, random);
    this.#rejects = metrics.counter('coredns_forward_max_concurrent_rejects_total');
    this.#allDown = metrics.counter('coredns_forward_healthcheck_broken_total');
    this.members = options.targets.map((endpoint) => this.#member(canonical(endpoint)));
  }

  exchange(question: UpstreamQuestion, budgetMs: number): Promise<UpstreamReply> {
    const refusal = this.#refusal();
    if (refusal !== undefined) return Promise.reject(refusal);
    const plan = this.#plan(question, budgetMs);
    if (plan instanceof DnsError) return Promise.reject(plan);
    return new Promise((resolve, reject) => {
      this.#inFlight++;
      this.#context.load.inFlight++;
      new Exchange(this.#context, plan, (outcome) => {
        this.#inFlight--;
        this.#context.load.inFlight--;
        if (outcome instanceof DnsError) reject(outcome);
        else resolve(outcome);
        this.#detachIfIdle();
      }).start();
    });
  }

  /** Queries under way are still answered; then the upstreams are let go. */
  release(): void {
    this.#isReleased = true;
    this.#detachIfIdle();
  }

  #refusal(): DnsError | undefined {
    const { maxConcurrent, name } = this.#options;
    const { load } = this.#context;
    if (this.#isReleased) return servfail(`${name} belongs to a configuration that has ended`);
    if (maxConcurrent > 0 && this.#inFlight >= maxConcurrent) {
      this.#rejects.value++;
      const text = `more than max_concurrent ${maxConcurrent} queries wait for upstreams`;
      return new DnsError(RCODE.REFUSED, text, { code: EDE.OTHER, text });
    }
    if (load.inFlight < load.limit) return undefined;
    return servfail(`more than ${load.limit} queries wait for upstreams`);
  }

  #plan(question: UpstreamQuestion, budgetMs: number): Plan | DnsError {
    const { failoverRcodes, failFastAllUnhealthy, forceTcp, preferUdp } = this.#options;
    const usable = this.#order.of(this.members);
    const areAllDown = usable.length === 0;
    if (areAllDown) {
      this.#allDown.value++;
      if (failFastAllUnhealthy) return allDown(this.members);
    }
    return {
      question,
      budgetMs,
      members: areAllDown ? [this.#order.lastResort(this.members)] : usable,
      maxAttempts: areAllDown ? 1 : this.#maxAttempts(usable.length),
      transport: this.#transport(question.clientTransport),
      mayChangeTransport: !forceTcp && !preferUdp,
      failoverRcodes,
    };
  }

  #maxAttempts(usable: number): number {
    return this.#options.maxConnectAttempts || Math.max(ROUNDS * usable, MIN_ATTEMPTS);
  }

  #transport(client: Transport): Transport {
    const { forceTcp, preferUdp } = this.#options;
    if (forceTcp) return 'tcp';
    return preferUdp ? 'udp' : client;
  }

  #member(endpoint: Endpoint): Member {
    const { maxFails, name, expireMs } = this.#options;
    const { metrics, registry, checks } = this.#context;
    const target = registry.acquire(endpoint, expireMs);
    const health = maxFails === 0 ? undefined : checks.acquire(target, this.#healthSettings);
    return new Member(target, health, name, metrics);
  }

  #detachIfIdle(): void {
    if (!this.#isReleased || this.#inFlight > 0 || this.#isDetached) return;
    this.#isDetached = true;
    const { checks, registry } = this.#context;
    for (const { target } of this.members) {
      checks.release(target, this.#healthSettings);
      registry.release(target, this.#options.expireMs);
    }
  }
}

function servfail(text: string): DnsError {
  return new DnsError(RCODE.SERVFAIL, text, { code: EDE.OTHER, text });
}

function allDown(members: readonly Member[]): DnsError {
  const text = `every upstream is down: ${members.map(({ target }) => target.name).join(', ')}`;
  return new DnsError(RCODE.SERVFAIL, text, { code: EDE.NO_REACHABLE_AUTHORITY, text });
}

/** The text that the system uses for the same address, so that names and sources compare. */
function canonical({ address, port }: Endpoint): Endpoint {
  const zone = address.indexOf('%');
  const suffix = zone === -1 ? '' : address.slice(zone);
  return { address: formatAddress(addressBytes(address)) + suffix, port };
}
