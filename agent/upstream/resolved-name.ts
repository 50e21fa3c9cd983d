/**
 * The addresses of an upstream that the Corefile gives by name. Separate resolvers are asked, never this agent itself,
 * and again when the TTL ends. The last addresses stay in use while resolving fails.
 */
import { familyOf, formatAddress } from '../base/address.ts';
import type { Clock, Timer } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import { CLASS, RCODE, rcodeName, TYPE } from '../dns/iana.ts';
import { nameToText } from '../dns/name.ts';
import { DEDUPLICATE_BY, type Logger } from '../query/services/log.ts';
import type { Metrics } from '../query/services/metrics.ts';
import type { UpstreamGroup, UpstreamReply } from '../query/services/upstreams.ts';

const ASK_BUDGET_MS = 4_000;
/** How soon a name without an address is asked again. */
const FIRST_RETRY_MS = 1_000;
/** Minimum lifetime of addresses, whatever their TTL. */
const MIN_AGE_MS = 5_000;
const MAX_AGE_MS = 3_600_000;
/** More addresses than one node needs. */
const MAX_ADDRESSES = 16;

const UNKNOWN_REMEDY =
  'see that the resolvers know the name: option resolver of forward, or else /etc/resolv.conf, names them';
const OWN_REMEDY = 'give forward a name or an address at which another server listens';

/** One upstream of the Corefile that is a name, and what to do with its addresses. */
export interface ResolvedNameOptions {
  /** Lower-case wire form. */
  readonly name: Uint8Array;
  readonly resolver: UpstreamGroup;
  /** Whether nodens itself listens there: such an address would be a loop. */
  readonly isOwn: (address: string) => boolean;
  /** Called with addresses that differ from those before; never empty. */
  readonly onChange: (addresses: readonly string[]) => void;
}

/** Services of the process. `random` is in [0, 1): it varies when the name is asked again. */
export interface ResolvedNameContext {
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly random: () => number;
}

interface Found {
  readonly addresses: readonly string[];
  readonly ageMs: number;
}

/**
 * Asks for A and AAAA at once, and again when the shortest TTL ends, after 5 s to an hour. If that fails, it asks again
 * after 5 s, or after 1 s while the name has no usable address.
 */
export class ResolvedName {
  readonly text: string;
  readonly #options: ResolvedNameOptions;
  readonly #context: ResolvedNameContext;
  /** By record type: addresses of the last usable answer. */
  readonly #found = new Map<number, readonly string[]>();
  #known = '';
  #isFailing = false;
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(options: ResolvedNameOptions, context: ResolvedNameContext) {
    this.#options = options;
    this.#context = context;
    this.text = nameToText(options.name);
    this.#timer = context.clock.after(0, () => void this.#look());
  }

  /** Whether the name has ever had a usable address; later failures do not change that. */
  get isResolved(): boolean {
    return this.#known !== '';
  }

  /** Ends the resolving; a reply that is still to come is ignored. Idempotent. */
  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  async #look(): Promise<void> {
    const answers = await Promise.allSettled([this.#ask(TYPE.A), this.#ask(TYPE.AAAA)]);
    if (this.#isStopped) return;
    const found = [TYPE.A, TYPE.AAAA].map((type, at) => this.#learn(type, answers[at]));
    const failure = found.find((one) => typeof one === 'string');
    const addresses = [...this.#found.values()].flat();
    const usable = addresses.filter((address) => !this.#options.isOwn(address));
    if (usable.length > 0) this.#take(usable.slice(0, MAX_ADDRESSES));
    if (failure !== undefined || usable.length === 0) this.#failed(failure, addresses);
    else this.#recovered();
    const ages = found.flatMap((one) => (typeof one === 'string' ? [] : one.ageMs));
    const isWhole = failure === undefined && usable.length > 0;
    this.#lookAgainIn(isWhole ? Math.min(MAX_AGE_MS, ...ages) : this.#retryMs());
  }

  /** The addresses that an answer gives for one type, which are stored; or a text that says why there are none. */
  #learn(type: number, answer: PromiseSettledResult<UpstreamReply> | undefined): Found | string {
    if (answer?.status !== 'fulfilled') return messageOf(answer?.reason);
    const { wire, rcode, records } = answer.value.reply;
    if (rcode !== RCODE.NOERROR) return rcodeName(rcode);
    const own = records.filter(
      (record) =>
        record.section === 'answer' &&
        record.type === type &&
        record.rdataEnd - record.rdataStart === (type === TYPE.A ? 4 : 16),
    );
    const addresses = own.map(({ rdataStart, rdataEnd }) =>
      formatAddress(wire.subarray(rdataStart, rdataEnd)),
    );
    const family = type === TYPE.A ? 4 : 6;
    const others = [...this.#found].some(
      ([, list]) => list.length > 0 && familyOf(list[0] ?? '') !== family,
    );
    // An answer without any address removes neither family: the other family's answer may still come.
    if (addresses.length > 0 || others) this.#found.set(type, addresses);
    const ttls = own.map(({ ttlSeconds }) => ttlSeconds * 1_000);
    return {
      addresses,
      ageMs: ttls.length === 0 ? MAX_AGE_MS : Math.max(MIN_AGE_MS, Math.min(...ttls)),
    };
  }

  /** Async, so that a thrown error becomes a rejection. */
  async #ask(type: number): Promise<UpstreamReply> {
    const { name, resolver } = this.#options;
    const flags = { recursionDesired: true, checkingDisabled: false, dnssecOk: false };
    const question = { name, type, class: CLASS.IN, clientTransport: 'udp' as const, ...flags };
    return await resolver.exchange(question, ASK_BUDGET_MS);
  }

  #take(addresses: readonly string[]): void {
    const known = [...addresses].sort().join(' ');
    if (known === this.#known) return;
    this.#known = known;
    const { metrics, log } = this.#context;
    metrics.gauge('nodens_upstream_endpoints', { name: this.text }).value = addresses.length;
    log.info({ name: this.text, endpoints: known }, `upstream ${this.text} resolves to ${known}`);
    this.#options.onChange(addresses);
  }

  /** Logged once, until resolving works again. */
  #failed(failure: string | undefined, addresses: readonly string[]): void {
    if (this.#isFailing) return;
    this.#isFailing = true;
    const isOwn = failure === undefined && addresses.length > 0;
    const own = isOwn ? 'nodens itself listens at its addresses' : 'it has no address';
    const next = this.isResolved
      ? 'the addresses known so far stay in use'
      : 'its queries get SERVFAIL';
    const { log } = this.#context;
    const remedy = isOwn ? OWN_REMEDY : UNKNOWN_REMEDY;
    log.warn(
      {
        name: this.text,
        event: 'upstream-name',
        remedy,
        [DEDUPLICATE_BY]: `upstream-name ${this.text}`,
      },
      `upstream ${this.text} cannot be resolved: ${failure ?? own}; ${next}, will retry`,
    );
  }

  #recovered(): void {
    if (!this.#isFailing) return;
    this.#isFailing = false;
    this.#context.log.info({ name: this.text }, `upstream ${this.text} can be resolved again`);
  }

  #retryMs(): number {
    return this.isResolved ? MIN_AGE_MS : FIRST_RETRY_MS;
  }

  /** Randomly earlier, so that the nodes of a cluster do not ask at the same time, and no node asks late. */
  #lookAgainIn(ms: number): void {
    const { clock, random } = this.#context;
    this.#timer = clock.after(ms * (0.75 + random() / 4), () => void this.#look());
  }
}
