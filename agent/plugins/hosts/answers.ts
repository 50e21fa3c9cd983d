/** Answers from a table, built when first asked for; the most recent ones are kept. */
import type { NewRecord } from '../../dns/build.ts';
import { FLAG } from '../../dns/header.ts';
import { CLASS, RCODE, TYPE } from '../../dns/iana.ts';
import { type Answer, madeAnswer } from '../../query/answer.ts';
import type { Query } from '../../query/query.ts';
import type { HostsTable } from './table.ts';

/** Maximum size of kept answers, bytes: a client that asks every name of a large file must not double its memory. */
const KEPT_BYTES = 2 ** 20;
/** Memory of an answer besides its message, bytes. */
const ANSWER_BYTES = 400;

/** The answers of one use of the directive: all records have the same TTL. */
export class HostsAnswers {
  readonly table: HostsTable;
  readonly #ttlSeconds: number;
  /** In order of creation. The key is the number from `HostsTable` and the type. */
  readonly #kept = new Map<number, Answer>();
  #keptBytes = 0;

  constructor(table: HostsTable, ttlSeconds: number) {
    this.table = table;
    this.#ttlSeconds = ttlSeconds;
  }

  /** The answer to a question in class IN of any type but PTR; undefined if the name is unknown. */
  find(query: Query): Answer | undefined {
    const { name, type } = query;
    const found = this.table.findName(name);
    if (found !== 0) {
      if (type === TYPE.A)
        return this.#kept.get(2 * found) ?? this.#keep(2 * found, this.#make(query, found));
      if (type === TYPE.AAAA)
        return this.#kept.get(2 * found + 1) ?? this.#keep(2 * found + 1, this.#make(query, found));
      return this.#make(query, found);
    }
    if (query.head.labelCount === 0) return undefined;
    const any = this.table.findWildcard(name, query.head.labelOffset(1));
    return any === 0 ? undefined : this.#make(query, any);
  }

  /** The answer to a PTR question; undefined if the name is not that of a known address. */
  findReverse(query: Query): Answer | undefined {
    const found = this.table.findReverse(query.name);
    if (found === 0) return undefined;
    return this.#kept.get(2 * found) ?? this.#keep(2 * found, this.#makeReverse(query, found));
  }

  /** Empty if the name has no records of the type: NODATA without SOA, since hosts has none. */
  #make(query: Query, found: number): Answer {
    return this.#answer(query, this.table.addressesOf(found, query.type));
  }

  #makeReverse(query: Query, found: number): Answer {
    return this.#answer(query, this.table.namesOf(found));
  }

  #answer({ name, type }: Query, rdatas: readonly Uint8Array[]): Answer {
    const answer = rdatas.map(
      (rdata): NewRecord => ({ type, ttlSeconds: this.#ttlSeconds, rdata }),
    );
    const response = { rcode: RCODE.NOERROR, flags: FLAG.AA, answer };
    return madeAnswer({ name, type, class: CLASS.IN }, response, 'hosts');
  }

  #keep(key: number, answer: Answer): Answer {
    this.#kept.set(key, answer);
    this.#keptBytes += answer.length + ANSWER_BYTES;
    for (const [oldest, { length }] of this.#kept) {
      if (this.#keptBytes <= KEPT_BYTES) break;
      this.#kept.delete(oldest);
      this.#keptBytes -= length + ANSWER_BYTES;
    }
    return answer;
  }
}
