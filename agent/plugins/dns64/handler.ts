/**
 * DNS64 (RFC 6147), for resolvers in front of a NAT64. The records it makes have no signatures: clients must not
 * validate.
 */
import type { Cidr } from '../../base/address.ts';
import { sleep, type Timer } from '../../base/clock.ts';
import { DnsError } from '../../base/errors.ts';
import { CLASS, RCODE, TYPE } from '../../dns/iana.ts';
import { rebuild } from '../../dns/rebuild.ts';
import { type RecordView, readRecords } from '../../dns/records.ts';
import { type Answer, remade, wireAt } from '../../query/answer.ts';
import type { Handler, Result } from '../../query/handler.ts';
import { after } from '../../query/plugin.ts';
import type { Query } from '../../query/query.ts';
import { resolveFor } from '../../query/reenter.ts';
import type { ServerLabel } from '../../query/services/block.ts';
import type { Counter } from '../../query/services/metrics.ts';
import type { Services } from '../../query/services/services.ts';

/** Settings of the directive. The length of `prefix` is one of RFC 6052 §2.2. */
export interface Dns64Options {
  readonly prefix: Cidr;
  /** Whether AAAA records that exist are replaced as well. */
  readonly translateAll: boolean;
  readonly allowIpv4: boolean;
  readonly services: Pick<Services, 'resolve' | 'clock'>;
  readonly translated: (server: ServerLabel) => Counter;
}

/** Maximum TTL if the empty answer has no SOA, seconds (RFC 6147 §5.1.7). */
const TTL_WITHOUT_SOA_SECONDS = 600;
/** Wait for AAAA before A is asked for as well, milliseconds. Most resolvers need less for both. */
const LATE_MS = 1_000;

/**
 * Handles AAAA questions in class IN; those of IPv4 clients only with `allowIpv4`. Without A records the answer or
 * the error stays as it is.
 */
export function dns64Handler(options: Dns64Options): (query: Query, next: Handler) => Result {
  const { allowIpv4, translateAll, services } = options;
  return (query, next) => {
    if (query.type !== TYPE.AAAA || query.class !== CLASS.IN || !query.hasClient)
      return next(query);
    if (!allowIpv4 && query.client.family !== 6) return next(query);
    const addresses = new Addresses(query, services);
    const onAnswer = (answer: Answer): Result => {
      addresses.stopWaiting();
      const records = readRecords(answer.wire);
      // NXDOMAIN applies to every type; any other error counts as an empty answer (RFC 6147 §5.1.2).
      if (records === undefined || answer.rcode === RCODE.NXDOMAIN) return answer;
      if (!translateAll && records.some(isAnswer(TYPE.AAAA))) return answer;
      return translated(query, addresses.ask(), records, () => answer, options);
    };
    // A missing answer counts as an empty one as well (RFC 6147 §5.1.3).
    const onError = (error: unknown): Result => {
      addresses.stopWaiting();
      if (!isFailure(error)) throw error;
      const giveUp = (): never => {
        throw error;
      };
      return translated(query, addresses.inTime(giveUp), [], giveUp, options);
    };
    const result = after(next, query, onAnswer, onError);
    if (result instanceof Promise) addresses.askWhenLate();
    return result;
  };
}

/** Not a failure: a query that is dropped on purpose, a bug, and a name that does not exist and so has no A records. */
function isFailure(error: unknown): boolean {
  return (
    error instanceof DnsError && error.rcode !== RCODE.NOERROR && error.rcode !== RCODE.NXDOMAIN
  );
}

/**
 * The A records of a query's name. If the AAAA answer is late, they are asked for meanwhile, so that they arrive by the
 * client's deadline if no AAAA answer ever does.
 */
class Addresses {
  readonly #query: Query;
  readonly #services: Dns64Options['services'];
  #timer: Timer | undefined;
  #asked: Promise<Answer> | undefined;

  constructor(query: Query, services: Dns64Options['services']) {
    this.#query = query;
    this.#services = services;
  }

  askWhenLate(): void {
    if (this.#asked !== undefined) return;
    this.#timer = this.#services.clock.after(LATE_MS, () => {
      // A failure is handled only if the result is needed.
      this.ask().catch(() => undefined);
    });
  }

  stopWaiting(): void {
    this.#timer?.cancel();
  }

  ask(): Promise<Answer> {
    this.#asked ??= resolveFor(this.#query, this.#query.name, TYPE.A, this.#services);
    return this.#asked;
  }

  /** As `ask`, but with the result of `giveUp` if they have not arrived by the client's deadline. */
  inTime(giveUp: () => never): Promise<Answer> {
    const { clock } = this.#services;
    const { arrivedMs, budgetMs } = this.#query;
    const leftMs = Math.max(0, arrivedMs + budgetMs - clock.nowMs());
    return Promise.race([this.ask(), sleep(clock, leftMs).then(giveUp)]);
  }
}

function isAnswer(type: number): (record: RecordView) => boolean {
  return (record) => record.section === 'answer' && record.type === type;
}

/** The A records from `found` as AAAA records; `otherwise` if there are none. */
function translated(
  query: Query,
  found: Promise<Answer>,
  records: readonly RecordView[],
  otherwise: () => Answer,
  { prefix, services, translated: counters }: Dns64Options,
): Promise<Answer> {
  const translate = (addresses: Answer): Answer => {
    const isUseful =
      addresses.rcode === RCODE.NOERROR && readRecords(addresses.wire)?.some(isAnswer(TYPE.A));
    if (isUseful !== true) return otherwise();
    const nowMs = services.clock.nowMs();
    const source = wireAt(addresses, nowMs);
    const limit = soaTtl(records);
    const wire = rebuild(source, {
      question: query,
      substitute: (record) =>
        isAnswer(TYPE.A)(record) && record.rdataEnd - record.rdataStart === 4
          ? {
              type: TYPE.AAAA,
              ttlSeconds: Math.min(record.ttlSeconds, limit),
              rdata: embed(prefix, source.subarray(record.rdataStart, record.rdataEnd)),
            }
          : undefined,
    });
    if (wire === undefined) return otherwise();
    counters(query.server).value++;
    return remade(addresses, wire, nowMs).with({ plugin: 'dns64' });
  };
  return found.then(translate, (error: unknown) => {
    if (error instanceof DnsError) return otherwise();
    throw error;
  });
}

function soaTtl(records: readonly RecordView[]): number {
  const soa = records.find(({ section, type }) => section === 'authority' && type === TYPE.SOA);
  return soa?.ttlSeconds ?? TTL_WITHOUT_SOA_SECONDS;
}

/** Bits 64 to 71 stay zero, whatever the prefix's length (RFC 6052 §2.2). */
function embed({ bytes: prefixBytes, prefix }: Cidr, address: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(16);
  let at = prefix / 8;
  bytes.set(prefixBytes.subarray(0, at));
  for (const byte of address) {
    if (at === 8) at++;
    bytes[at++] = byte;
  }
  return bytes;
}
