/**
 * The endpoints behind an upstream, found by asking it: the addresses of a headless Service, or SRV records (RFC 2782)
 * with the addresses of their targets. The last list that was not empty stays in use, whatever later replies contain.
 */
import { type Endpoint, familyOf, formatEndpoint } from '../base/address.ts';
import type { Clock, Timer } from '../base/clock.ts';
import { addressesOf, readHostRecords } from '../dns/client/host-records.ts';
import { CLASS, RCODE, TYPE } from '../dns/iana.ts';
import { nameToText } from '../dns/name.ts';
import type { RecordView } from '../dns/records.ts';
import type { Reply } from '../dns/reply.ts';
import type { Logger } from '../query/services/log.ts';
import type { Metrics } from '../query/services/metrics.ts';
import type { UpstreamQuestion, UpstreamReply } from '../query/services/upstreams.ts';

const ASK_BUDGET_MS = 2_000;
/** Minimum lifetime of a list, whatever its TTL. */
const MIN_AGE_MS = 5_000;
const MAX_AGE_MS = 30_000;
/** More endpoints than one node needs; chosen at random, so that the nodes together use all of them. */
const MAX_ENDPOINTS = 16;
const UNDERSCORE = 0x5f;

/** Settings of one search. A group has at most one, behind its first upstream. */
export interface EndpointsOptions {
  readonly name: Uint8Array;
  /** The upstream in front of them: they have its family and, unless SRV names a port, its port. */
  readonly behind: Endpoint;
  /** Queries the upstream itself. */
  readonly ask: (question: UpstreamQuestion, budgetMs: number) => Promise<UpstreamReply>;
  /** Called with a list that differs from the one before; never empty. */
  readonly onChange: (endpoints: readonly Endpoint[]) => void;
}

/** Services of the process. `random` is in [0, 1): it varies the interval and chooses among many endpoints. */
export interface EndpointsContext {
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly random: () => number;
}

/**
 * Asks at once, and again when the shortest TTL ends, after 5 to 30 s give or take a quarter. A name that begins with
 * `_` is asked for SRV; any other for A or AAAA, by the family of the upstream.
 */
export class Endpoints {
  readonly #options: EndpointsOptions;
  readonly #context: EndpointsContext;
  readonly #text: string;
  readonly #question: UpstreamQuestion;
  #known = '';
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(options: EndpointsOptions, context: EndpointsContext) {
    const { name, behind } = options;
    this.#options = options;
    this.#context = context;
    this.#text = nameToText(name);
    const isService = name[1] === UNDERSCORE;
    this.#question = {
      name,
      type: isService ? TYPE.SRV : addressType(behind),
      class: CLASS.IN,
      recursionDesired: true,
      checkingDisabled: false,
      dnssecOk: false,
      clientTransport: 'udp',
    };
    this.#timer = context.clock.after(0, () => this.#look());
  }

  /** Ends the search; a reply that is still to come is ignored. Idempotent. */
  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  #look(): void {
    this.#options.ask(this.#question, ASK_BUDGET_MS).then(
      ({ reply }) => this.#learn(reply),
      () => this.#lookAgainIn(MIN_AGE_MS),
    );
  }

  #learn(reply: Reply): void {
    if (this.#isStopped) return;
    const found = reply.rcode === RCODE.NOERROR ? this.#read(reply) : [];
    if (found.length > 0) this.#take(found);
    const ttls = reply.records.filter(isAnswer).map(({ ttlSeconds }) => ttlSeconds * 1_000);
    const ageMs = found.length > 0 ? Math.min(MAX_AGE_MS, ...ttls) : 0;
    this.#lookAgainIn(Math.max(MIN_AGE_MS, ageMs));
  }

  #take(found: readonly Endpoint[]): void {
    const known = found.map(formatEndpoint).sort().join(' ');
    if (known === this.#known) return;
    this.#known = known;
    const { metrics, log, random } = this.#context;
    metrics.gauge('nodens_upstream_endpoints', { name: this.#text }).value = found.length;
    log.info(
      { name: this.#text, endpoints: known },
      `${found.length} endpoints behind ${this.#text}`,
    );
    const first = found.length > MAX_ENDPOINTS ? Math.floor(random() * found.length) : 0;
    const turned = [...found.slice(first), ...found.slice(0, first)];
    this.#options.onChange(turned.slice(0, MAX_ENDPOINTS));
  }

  /** With jitter, so that the nodes of a cluster do not ask at the same time. */
  #lookAgainIn(ms: number): void {
    if (this.#isStopped) return;
    const { clock, random } = this.#context;
    this.#timer = clock.after(ms * (0.75 + random() / 2), () => this.#look());
  }

  #read({ wire, records }: Reply): Endpoint[] {
    const { behind } = this.#options;
    const isOurs = (address: string): boolean => familyOf(address) === familyOf(behind.address);
    const found = readHostRecords(wire, records) ?? [];
    if (this.#question.type !== TYPE.SRV)
      return found
        .filter(isAnswer)
        .flatMap(({ data }) => ('address' in data && isOurs(data.address) ? [data.address] : []))
        .map((address) => ({ address, port: behind.port }));
    return found.flatMap(({ data }) =>
      'target' in data
        ? addressesOf(found, data.target)
            .filter(isOurs)
            .map((address) => ({ address, port: data.port }))
        : [],
    );
  }
}

function isAnswer({ section }: Pick<RecordView, 'section'>): boolean {
  return section === 'answer';
}

function addressType({ address }: Endpoint): number {
  return familyOf(address) === 6 ? TYPE.AAAA : TYPE.A;
}
