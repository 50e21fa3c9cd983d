/** A small world of names, as the whole server answers them, and clients that walk their search lists through it. */
import { addressBytes } from '../../../agent/base/address.ts';
import type { NewRecord } from '../../../agent/dns/build.ts';
import { RCODE, TYPE } from '../../../agent/dns/iana.ts';
import { nameFromText, nameToText } from '../../../agent/dns/name.ts';
import { type Answer, madeAnswer } from '../../../agent/query/answer.ts';
import type { Handler, Result } from '../../../agent/query/handler.ts';
import type { InternalQuestion } from '../../../agent/query/query.ts';
import { queryFor } from '../dns/queries.ts';

/** What a name has: addresses by type; a failure; `NXDOMAIN` for a type that the upstream denies in spite of others. */
export interface Entry {
  readonly A?: readonly string[] | 'NXDOMAIN' | 'SERVFAIL';
  readonly AAAA?: readonly string[] | 'NXDOMAIN' | 'SERVFAIL';
  readonly TXT?: readonly string[];
}

const TYPE_NAMES = new Map<number, string>(
  Object.entries(TYPE).map(([name, type]) => [type, name]),
);

const SOA: NewRecord = {
  name: nameFromText('example'),
  type: TYPE.SOA,
  ttlSeconds: 30,
  // MINIMUM 30, as long as a denial is cached.
  rdata: Uint8Array.from([0, 0, ...new Uint8Array(19), 30]),
};

export class Names {
  /** By name in lower case with a trailing dot. */
  readonly entries = new Map<string, Entry>();
  /** Every question of the plugin, `A web.svc.cluster.local.`. */
  readonly asked: string[] = [];
  readonly questions: InternalQuestion[] = [];
  readonly #kept = new Map<string, { entry: Entry | undefined; answer: Answer }>();
  /** If set, answers to the plugin's questions wait for it. */
  gate: Promise<void> | undefined;

  constructor(entries: Readonly<Record<string, Entry>> = {}) {
    for (const [name, entry] of Object.entries(entries)) this.entries.set(name, entry);
  }

  readonly resolveNow = (question: InternalQuestion): Result => {
    this.questions.push(question);
    const name = question.name.slice();
    this.asked.push(`${TYPE_NAMES.get(question.type)} ${nameToText(name)}`);
    if (this.gate === undefined) return this.answer(name, question.type);
    return this.gate.then(() => this.answer(name, question.type));
  };

  /** The rest of the chain. */
  readonly next: Handler = (query) => this.answer(query.name, query.type);

  /** As a cache: the same answer object until the entry changes. */
  answer(name: Uint8Array, type: number): Answer {
    const text = nameToText(name);
    const entry = this.entries.get(text);
    const kept = this.#kept.get(`${type} ${text}`);
    if (kept !== undefined && kept.entry === entry) return kept.answer;
    const answer = this.#made(name, type, entry);
    this.#kept.set(`${type} ${text}`, { entry, answer });
    return answer;
  }

  #made(name: Uint8Array, type: number, entry: Entry | undefined): Answer {
    const question = queryFor(nameToText(name), type);
    const found = entry?.[TYPE_NAMES.get(type) as keyof Entry];
    if (found === 'SERVFAIL')
      return madeAnswer(question, { rcode: RCODE.SERVFAIL, flags: 0 }, 'forward');
    if (entry === undefined || found === 'NXDOMAIN') {
      const denial = { rcode: RCODE.NXDOMAIN, flags: 0, authority: [SOA] };
      return madeAnswer(question, denial, 'forward');
    }
    const answer = (found ?? []).map((text) => ({
      type,
      ttlSeconds: 60,
      rdata: rdataOf(type, text),
    }));
    const authority = answer.length === 0 ? [SOA] : [];
    return madeAnswer(question, { rcode: RCODE.NOERROR, flags: 0, answer, authority }, 'forward');
  }
}

function rdataOf(type: number, text: string): Uint8Array {
  return type === TYPE.TXT
    ? Uint8Array.from([text.length, ...Buffer.from(text)])
    : addressBytes(text);
}
