/** The upstreams of one forward directive. */
import { addressBytes, type Endpoint, formatAddress } from '../base/address.ts';
import { type ClientShare, OWN_KEY } from '../base/clients/memory-ledger.ts';
import { DnsError, GAVE_WAY } from '../base/errors.ts';
import { LIMITS } from '../base/limits.ts';
import { EDE, RCODE } from '../dns/iana.ts';
import type { Transport } from '../query/query.ts';
import type { Logger } from '../query/services/log.ts';
import type { Counter, Metrics } from '../query/services/metrics.ts';
import type {
  UpstreamEndpoint,
  UpstreamGroup,
  UpstreamGroupOptions,
  UpstreamQuestion,
  UpstreamReply,
} from '../query/services/upstreams.ts';
import { Endpoints } from './endpoints.ts';
import { Exchange } from './exchange/exchange.ts';
import { allDown, servfail } from './exchange/outcome.ts';
import { type ExchangeContext, type Plan, WAITING_QUERY_BYTES } from './exchange/plan.ts';
import { GroupMember } from './group-member.ts';
import { GroupUpstreams } from './group-upstreams.ts';
import type { HealthSettings } from './health/health.ts';
import type { HealthRegistry } from './health/health-registry.ts';
import { HedgeBudget } from './hedge-budget.ts';
import type { Registry } from './registry.ts';
import { SelectionPolicy } from './selection-policy.ts';

/**
 * Attempts for one query unless the Corefile sets a number: twice round, as in CoreDNS, plus spare ones for a lost
 * packet.
 */
const ROUNDS = 2;
const MIN_ATTEMPTS = 3;
/** Extra attempts after failed connections. */
const EXTRA_DIALS = 6;

/** Endpoints that one query tries before the upstream in front of them. */
const ENDPOINTS_TRIED = 3;

/** What all groups of the process share. `random` is in [0, 1). */
export interface GroupContext extends ExchangeContext {
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly random: () => number;
  readonly registry: Registry;
  readonly checks: HealthRegistry;
  /** Queries in flight in all groups. */
  readonly load: { inFlight: number };
}

/** Its constructor acquires the upstreams, and throws OpenSSL's error if their certificates are unusable. */
export class Group implements UpstreamGroup {
  readonly #upstreams: GroupUpstreams;
  /** Resolves the addresses of names. */
  readonly #resolver: Group | undefined;
  /** Endpoints behind the upstreams; tried before them. */
  #endpoints: readonly GroupMember[] = [];
  readonly #discovery: Endpoints | undefined;
  readonly #context: GroupContext;
  readonly #options: UpstreamGroupOptions;
  readonly #healthSettings: HealthSettings;
  readonly #order: SelectionPolicy<GroupMember>;
  readonly #endpointOrder: SelectionPolicy<GroupMember>;
  readonly #hedges = new HedgeBudget();
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
    this.#order = new SelectionPolicy(options.policy, random);
    this.#endpointOrder = new SelectionPolicy('round_robin', random);
    this.#rejects = metrics.counter('coredns_forward_max_concurrent_rejects_total');
    this.#allDown = metrics.counter('coredns_forward_healthcheck_broken_total');
    this.#resolver = this.#resolverOf(options);
    const letGo = (members: readonly GroupMember[]): void => this.#letGoLater(members);
    const parts = { resolver: this.#resolver, replaced: letGo };
    const member = (upstream: UpstreamEndpoint): GroupMember => this.#member(upstream);
    this.#upstreams = new GroupUpstreams(options, { ...parts, member }, context);
    this.#discovery = this.#discover();
  }

  /** Endpoints first. */
  get members(): readonly GroupMember[] {
    return [...this.#endpoints, ...this.#upstreams.all];
  }

  /** Also true for a group without names. */
  isResolved(): boolean {
    return this.#upstreams.unresolved === '';
  }

  /** As `UpstreamGroup.admits`. */
  admits(clientKey: string): boolean {
    return this.#context.ledger.share(clientKey).admits(this, WAITING_QUERY_BYTES);
  }

  /** As `UpstreamGroup.exchange`; throws GAVE_WAY if the client's share is used up. */
  exchange(question: UpstreamQuestion, budgetMs: number): Promise<UpstreamReply> {
    const share = this.#context.ledger.share(question.clientKey ?? OWN_KEY);
    if (!share.admits(this, WAITING_QUERY_BYTES)) throw GAVE_WAY;
    const refusal = this.#refusal();
    if (refusal !== undefined) return Promise.reject(refusal);
    return this.#run(this.#plan(question, budgetMs, this.#usable()), share);
  }

  #run(plan: Plan | DnsError, share: ClientShare): Promise<UpstreamReply> {
    if (plan instanceof DnsError) return Promise.reject(plan);
    this.#inFlight++;
    this.#context.load.inFlight++;
    const exchange = new Exchange(this.#context, plan, share, this.#onEnd);
    exchange.start();
    return exchange.reply;
  }

  /** One callback for all exchanges. */
  readonly #onEnd = (): void => {
    this.#inFlight--;
    this.#context.load.inFlight--;
    this.#detachIfIdle();
  };

  /** Queries in flight are still answered; then the upstreams are released. */
  release(): void {
    this.#isReleased = true;
    this.#discovery?.stop();
    this.#upstreams.stop();
    this.#resolver?.release();
    this.#detachIfIdle();
  }

  /** A separate group: resolvers are tried over UDP first, and their health is independent of the upstreams'. */
  #resolverOf({ names = [], resolvers = [] }: UpstreamGroupOptions): Group | undefined {
    if (names.length === 0) return undefined;
    const plain = {
      forceTcp: false,
      preferUdp: true,
      maxFails: 0,
      maxConcurrent: 0,
      failoverRcodes: [],
    };
    const sequential = {
      policy: 'sequential',
      maxConnectAttempts: 0,
      upstreams: resolvers,
    } as const;
    const { name, healthCheck, expireMs } = this.#options;
    const options = {
      name,
      healthCheck,
      expireMs,
      failFastAllUnhealthy: false,
      ...plain,
      ...sequential,
    };
    return new Group(options, this.#context);
  }

  #discover(): Endpoints | undefined {
    const { endpointsName: name, upstreams } = this.#options;
    const [behind] = upstreams;
    if (name === undefined || behind === undefined) return undefined;
    const ask = (question: UpstreamQuestion, budgetMs: number): Promise<UpstreamReply> =>
      this.#run(
        this.#plan(question, budgetMs, this.#order.of(this.#upstreams.all)),
        this.#context.ledger.share(OWN_KEY),
      );
    const onChange = (found: readonly Endpoint[]): void => this.#useEndpoints(found);
    return new Endpoints({ name, behind: canonical(behind), ask, onChange }, this.#context);
  }

  /** Endpoints that disappeared are released once their last queries are answered or abandoned. */
  #useEndpoints(found: readonly Endpoint[]): void {
    const before = this.#endpoints;
    const { tls } = this.#options.upstreams[0] ?? {};
    this.#endpoints = found.map((endpoint) => this.#member({ ...endpoint, tls }));
    this.#letGoLater(before);
  }

  #letGoLater(members: readonly GroupMember[]): void {
    this.#context.clock.after(LIMITS.queryDeadlineMs.max, () => this.#letGo(members));
  }

  #usable(): readonly GroupMember[] {
    const upstreams = this.#order.of(this.#upstreams.all);
    if (this.#endpoints.length === 0) return upstreams;
    const endpoints = this.#endpointOrder.of(this.#endpoints).slice(0, ENDPOINTS_TRIED);
    return [...endpoints, ...upstreams];
  }

  #refusal(): DnsError | undefined {
    const { maxConcurrent, name } = this.#options;
    if (this.#isReleased) return servfail(`${name} belongs to a configuration that has ended`);
    if (maxConcurrent > 0 && this.#inFlight >= maxConcurrent) {
      this.#rejects.value++;
      const text = `more than max_concurrent ${maxConcurrent} queries wait for upstreams`;
      return new DnsError(RCODE.REFUSED, text, { code: EDE.OTHER, text });
    }
    return undefined;
  }

  #plan(
    question: UpstreamQuestion,
    budgetMs: number,
    usable: readonly GroupMember[],
  ): Plan | DnsError {
    const { failoverRcodes, forceTcp, maxConnectAttempts } = this.#options;
    let members = usable;
    const areAllDown = members.length === 0;
    if (areAllDown) {
      this.#allDown.value++;
      const trial = this.members.find((member) => member.health?.takeTrial());
      if (trial === undefined) return allDown(this.members, this.#upstreams.unresolved);
      members = [trial];
    }
    this.#hedges.earn();
    return {
      question,
      lane: this,
      budgetMs,
      members,
      maxAttempts: areAllDown ? 1 : this.#maxAttempts(members.length),
      // A number of attempts from the Corefile is never exceeded.
      extraDials: areAllDown || maxConnectAttempts > 0 ? 0 : EXTRA_DIALS,
      isTrial: areAllDown,
      transport: this.#transport(question.clientTransport),
      mayChangeTransport: forceTcp ? 'unopened' : 'always',
      failoverRcodes,
      hedges: areAllDown || maxConnectAttempts === 1 ? undefined : this.#hedges,
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

  #member(wanted: UpstreamEndpoint): GroupMember {
    const { maxFails, expireMs, maxAgeMs, readTimeoutMs } = this.#options;
    const { maxIdleConnections: maxIdle = 0, randomizeCase = false } = this.#options;
    const { socketPerQuery = false, noEdns = false } = this.#options;
    const { metrics, registry, checks } = this.#context;
    const { tls } = wanted;
    const pool = { expireMs, maxAgeMs, maxIdle };
    const { sourceAddress } = this.#options;
    const spoofing = { randomizeCase, socketPerQuery, noEdns };
    const settings = { tls, ...pool, readTimeoutMs, ...spoofing, sourceAddress };
    const upstream = registry.acquire(canonical(wanted), settings);
    const health = maxFails === 0 ? undefined : checks.acquire(upstream, this.#healthSettings);
    return new GroupMember(upstream, health, this.#healthSettings, metrics);
  }

  #detachIfIdle(): void {
    if (!this.#isReleased || this.#inFlight > 0 || this.#isDetached) return;
    this.#isDetached = true;
    this.#letGo(this.members);
    this.#endpoints = [];
  }

  #letGo(members: readonly GroupMember[]): void {
    const { checks, registry } = this.#context;
    for (const { upstream } of members) {
      checks.release(upstream, this.#healthSettings);
      registry.release(upstream);
    }
  }
}

/** The system's text form of the same address, so that configured addresses and reply sources compare equal. */
function canonical({ address, port }: Endpoint): Endpoint {
  const zone = address.indexOf('%');
  const suffix = zone === -1 ? '' : address.slice(zone);
  return { address: formatAddress(addressBytes(address)) + suffix, port };
}
