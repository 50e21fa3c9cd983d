/** What a chain gives back: shared, read-only bytes and what `respond` needs to fit them to one client. */
import type { ExtendedError } from '../base/errors.ts';
import { buildResponse, type NewResponse, type QuestionFields } from '../dns/build.ts';
import { FLAG, flagsOf, putU16, putU32, u32 } from '../dns/header.ts';
import type { RecordView } from '../dns/records.ts';
import { readRecords } from '../dns/records.ts';
import type { Reply } from '../dns/reply.ts';

export interface AnswerFields {
  /** A whole response without OPT; its ID, RD, CD and question case are overwritten for each client. */
  readonly wire: Buffer;
  /** Where each TTL is in `wire`. */
  readonly ttlOffsets: Uint16Array;
  /** The whole rcode; the low 4 bits stand in `wire` as well. */
  readonly rcode: number;
  /** Name of the plugin that made it (label `plugin` of coredns_dns_responses_total); '' where the server did. */
  readonly plugin: string;
  /** Clock moment at which the TTLs in `wire` were right; undefined for TTLs that do not age. */
  readonly bornMs?: number | undefined;
  /** Where defined, every TTL given out, seconds (stale answers, RFC 8767 §4). */
  readonly ttlOverrideSeconds?: number | undefined;
  /** Extended errors to tell an EDNS client (RFC 8914). */
  readonly extended?: ExtendedError | undefined;
  /** False where the answer is only for this client (whoami): never stored, never given to another waiter. */
  readonly shareable?: boolean;
}

export class Answer {
  readonly wire: Buffer;
  readonly ttlOffsets: Uint16Array;
  readonly rcode: number;
  readonly plugin: string;
  readonly bornMs: number | undefined;
  readonly ttlOverrideSeconds: number | undefined;
  readonly extended: ExtendedError | undefined;
  readonly shareable: boolean;

  constructor(fields: AnswerFields) {
    this.wire = fields.wire;
    this.ttlOffsets = fields.ttlOffsets;
    this.rcode = fields.rcode;
    this.plugin = fields.plugin;
    this.bornMs = fields.bornMs;
    this.ttlOverrideSeconds = fields.ttlOverrideSeconds;
    this.extended = fields.extended;
    this.shareable = fields.shareable ?? true;
  }

  /** The same answer with some fields changed. */
  with(changes: Partial<AnswerFields>): Answer {
    return new Answer({ ...this, ...changes });
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
  const wire = Buffer.from(answer.wire);
  putTtls(answer, nowMs, wire);
  return wire;
}

/** The answer with another message, whose TTLs are right at `nowMs`. */
export function remade(answer: Answer, wire: Buffer, nowMs: number): Answer {
  const ttlOffsets = ttlOffsetsOf(readRecords(wire) ?? []);
  return answer.with({ wire, ttlOffsets, bornMs: nowMs, ttlOverrideSeconds: undefined });
}

function ttlOffsetsOf(records: readonly RecordView[]): Uint16Array {
  return Uint16Array.from(records, (record) => record.ttlOffset);
}

/** An upstream's reply as an answer: AA cleared, because a cache is not an authority (RFC 1034 §6.2.1). */
export function relayedAnswer(reply: Reply, plugin: string, bornMs: number): Answer {
  const { wire, rcode, extended } = reply;
  putU16(wire, 2, flagsOf(wire) & ~FLAG.AA);
  return new Answer({
    wire,
    ttlOffsets: ttlOffsetsOf(reply.records),
    rcode,
    plugin,
    bornMs,
    extended,
  });
}

/** An answer of a plugin's own making. */
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
