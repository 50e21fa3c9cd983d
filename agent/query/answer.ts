/** The result of a chain: shared, read-only bytes, and what `respond` needs to fit them to one client. */
import type { ExtendedError } from '../base/errors.ts';
import { buildResponse, type NewResponse, type QuestionFields } from '../dns/build.ts';
import { FLAG, flagsOf, putU16, putU32, u32 } from '../dns/header.ts';
import type { RecordView } from '../dns/records.ts';
import { readRecords } from '../dns/records.ts';
import type { Reply } from '../dns/reply.ts';

/** Fields of a new answer. None is copied, so `wire` must not change afterwards. */
export interface AnswerFields {
  /**
   * A whole response without OPT. `respond` overwrites ID, RD, CD and the question's letter case for each client. A
   * string has one byte in each character.
   */
  readonly wire: Buffer | string;
  /** Offset of each TTL in `wire`. */
  readonly ttlOffsets: readonly number[];
  /** The whole rcode; `wire` contains its low 4 bits. */
  readonly rcode: number;
  /** Name of the plugin that made it (label `plugin` of coredns_dns_responses_total); '' for the server itself. */
  readonly plugin: string;
  /** Clock moment at which the TTLs in `wire` were right; undefined for TTLs that do not age. */
  readonly bornMs?: number | undefined;
  /** If defined, the TTL of every record in a response, seconds (stale answers, RFC 8767 §4). */
  readonly ttlOverrideSeconds?: number | undefined;
  /** Extended errors for an EDNS client (RFC 8914). */
  readonly extended?: ExtendedError | undefined;
  /** Whether the question in `wire` is known to be in lower case. */
  readonly isLowerCase?: boolean;
  /** The records in `wire`, if they have been parsed already. */
  readonly records?: readonly RecordView[] | undefined;
  /** False if the answer is only for this client (whoami): the cache never stores it and no other waiter gets it. */
  readonly shareable?: boolean;
}

/** Immutable and shared: many clients may get the same answer, each with its own ID, letter case and TTLs. */
export class Answer {
  // A cache hit reads these fields; placed first, they are close together in memory.
  readonly #bytes: Buffer | string;
  readonly ttlOffsets: readonly number[];
  readonly rcode: number;
  readonly plugin: string;
  readonly isLowerCase: boolean;
  readonly #records: readonly RecordView[] | undefined;
  readonly bornMs: number | undefined;
  readonly ttlOverrideSeconds: number | undefined;
  readonly extended: ExtendedError | undefined;
  readonly shareable: boolean;

  constructor(fields: AnswerFields) {
    this.#bytes = fields.wire;
    this.ttlOffsets = fields.ttlOffsets;
    this.rcode = fields.rcode;
    this.plugin = fields.plugin;
    this.isLowerCase = fields.isLowerCase ?? false;
    this.#records = fields.records;
    this.bornMs = fields.bornMs;
    this.ttlOverrideSeconds = fields.ttlOverrideSeconds;
    this.extended = fields.extended;
    this.shareable = fields.shareable ?? true;
  }

  /** Length of the message in bytes. */
  get length(): number {
    return this.#bytes.length;
  }

  /** The message's own flags word. */
  get flags(): number {
    const bytes = this.#bytes;
    if (typeof bytes !== 'string') return flagsOf(bytes);
    return (bytes.charCodeAt(2) << 8) | bytes.charCodeAt(3);
  }

  /** The message. If the answer is packed, every call allocates a new buffer. */
  get wire(): Buffer {
    const bytes = this.#bytes;
    return typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
  }

  /** The records in the message; undefined where they cannot be read. */
  get records(): readonly RecordView[] | undefined {
    return this.#records ?? readRecords(this.wire);
  }

  /** Writes the message to the start of `out`, which must have room for it. */
  writeTo(out: Buffer): void {
    const bytes = this.#bytes;
    if (typeof bytes === 'string') out.latin1Write(bytes, 0);
    else out.set(bytes);
  }

  /**
   * The message as a string of one byte per character. A stored string costs an eighth of a stored Buffer, whose bytes
   * are an external allocation that the garbage collector tracks.
   */
  get packed(): string {
    const bytes = this.#bytes;
    return typeof bytes === 'string' ? bytes : bytes.latin1Slice(0, bytes.length);
  }

  /** The same answer with some fields changed. */
  with(changes: Partial<AnswerFields>): Answer {
    const { ttlOffsets, rcode, plugin, bornMs, ttlOverrideSeconds, extended, shareable } = this;
    const times = { bornMs, ttlOverrideSeconds };
    const wire = this.#bytes;
    // The case of the question in a new message is unknown.
    const isLowerCase = changes.wire === undefined && this.isLowerCase;
    const own = { wire, ttlOffsets, rcode, plugin, isLowerCase, ...times, extended, shareable };
    return new Answer({ ...own, ...changes });
  }
}

/** Writes the TTLs that `answer` has at `nowMs` into `out`, a copy of its wire. */
export function putTtls(answer: Answer, nowMs: number, out: Buffer): void {
  const { ttlOffsets, bornMs, ttlOverrideSeconds } = answer;
  if (ttlOverrideSeconds === undefined && bornMs === undefined) return;
  const ageSeconds = bornMs === undefined ? 0 : Math.floor((nowMs - bornMs) / 1_000);
  if (ttlOverrideSeconds === undefined && ageSeconds <= 0) return;
  for (let i = 0; i < ttlOffsets.length; i++) {
    const offset = ttlOffsets[i] as number;
    putU32(out, offset, ttlOverrideSeconds ?? Math.max(0, u32(out, offset) - ageSeconds));
  }
}

/** A copy of the answer's message with the TTLs it has at `nowMs`. */
export function wireAt(answer: Answer, nowMs: number): Buffer {
  const wire = Buffer.allocUnsafe(answer.length);
  answer.writeTo(wire);
  putTtls(answer, nowMs, wire);
  return wire;
}

/** The answer with another message, whose TTLs are right at `nowMs`. */
export function remade(answer: Answer, wire: Buffer, nowMs: number): Answer {
  const ttlOffsets = ttlOffsetsOf(readRecords(wire) ?? []);
  return answer.with({ wire, ttlOffsets, bornMs: nowMs, ttlOverrideSeconds: undefined });
}

const NO_OFFSETS: readonly number[] = [];
/** The offsets of messages with one record, by offset: its name is in the question, so it comes soon after. */
const SINGLE_OFFSETS = Array.from({ length: 300 }, (_, offset): readonly number[] => [offset]);

/** Offsets of the TTLs of these records. Answers of one record share them: most in a cache have no more. */
export function ttlOffsetsOf(records: readonly RecordView[]): readonly number[] {
  const [first] = records;
  if (first === undefined) return NO_OFFSETS;
  const shared = records.length === 1 ? SINGLE_OFFSETS[first.ttlOffset] : undefined;
  return shared ?? records.map((record) => record.ttlOffset);
}

/** An upstream's reply as an answer: AA cleared, because a cache is not an authority (RFC 1034 §6.2.1). */
export function relayedAnswer(reply: Reply, plugin: string, bornMs: number): Answer {
  const { wire, records, rcode, extended } = reply;
  putU16(wire, 2, flagsOf(wire) & ~FLAG.AA);
  return new Answer({
    wire,
    records,
    ttlOffsets: ttlOffsetsOf(records),
    rcode,
    plugin,
    bornMs: Math.floor(bornMs),
    extended,
  });
}

/** An answer that a plugin makes itself. */
export function madeAnswer(
  question: QuestionFields,
  response: NewResponse,
  plugin: string,
  options: { readonly shareable?: boolean; readonly extended?: ExtendedError } = {},
): Answer {
  const wire = buildResponse(question, response);
  const ttlOffsets = ttlOffsetsOf(readRecords(wire) ?? []);
  return new Answer({ wire, ttlOffsets, rcode: response.rcode, plugin, ...options });
}
