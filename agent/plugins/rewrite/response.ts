/** The response for the client: its own question, and the changes of the matching rules. */
import { DnsError } from '../../base/errors.ts';
import { flagsOf, putU16, putU32, RCODE_MASK, u32 } from '../../dns/header.ts';
import { EDE, RCODE, TYPE } from '../../dns/iana.ts';
import { lowerName, nameFromText, nameToText, readName } from '../../dns/name.ts';
import { type Changes, rebuild, rebuildAll } from '../../dns/rebuild.ts';
import { type RecordView, readRecords } from '../../dns/records.ts';
import { type Answer, remade, wireAt } from '../../query/answer.ts';
import type { Result } from '../../query/handler.ts';
import type { Query } from '../../query/query.ts';
import { resolveFor } from '../../query/reenter.ts';
import type { Services } from '../../query/services/services.ts';
import type { Renaming, Undo } from './draft.ts';

/** `below` is the query that was answered; `undos` are in the order in which they apply. */
export function rewritten(
  query: Query,
  below: Query,
  answer: Answer,
  undos: readonly Undo[],
  services: Pick<Services, 'resolve' | 'clock'>,
): Result {
  // A dropped query stays dropped.
  if (answer.wire.length === 0) return answer;
  const nowMs = services.clock.nowMs();
  const moved = movedAlias(answer, undos);
  if (moved === undefined) return finished(query, below, answer, undos, nowMs);
  return resolveFor(below, moved.target, below.type, services).then((found) => {
    const later = services.clock.nowMs();
    const wire = joined(answer, moved, found, later);
    return finished(
      query,
      below,
      remade(answer.with({ rcode: found.rcode }), wire, later),
      undos,
      later,
    );
  });
}

interface Moved {
  /** The alias that gets another target: the records after it are removed. */
  readonly record: RecordView;
  readonly target: Uint8Array;
}

/** The first CNAME whose target a rule changes. */
function movedAlias({ wire }: Answer, undos: readonly Undo[]): Moved | undefined {
  const moves = undos.flatMap(({ alias }) => (alias === undefined ? [] : [alias]));
  if (moves.length === 0) return undefined;
  for (const record of readRecords(wire) ?? []) {
    if (record.section !== 'answer' || record.type !== TYPE.CNAME) continue;
    const before = readName(wire, record.rdataStart, wire.length);
    if (before === undefined) return undefined;
    const text = nameToText(lowerName(before));
    const to = moves.map((move) => move(text)).find((name) => name !== undefined && name !== text);
    if (to !== undefined) return { record, target: checkedName(to) };
  }
  return undefined;
}

function checkedName(text: string): Uint8Array {
  try {
    return nameFromText(text);
  } catch {
    throw unusable('a cname rule makes an impossible name');
  }
}

/** The answer up to the alias, the alias with its new target, and the answer found there. */
function joined(answer: Answer, { record, target }: Moved, found: Answer, nowMs: number): Buffer {
  const first = wireAt(answer, nowMs);
  putRcode(first, found.rcode);
  const start = rebuild(first, {
    keeps: (candidate) => candidate.start <= record.start,
    substitute: ({ start: at, type, ttlSeconds }) =>
      at === record.start ? { type, ttlSeconds, rdata: target } : undefined,
  });
  const wire = start && rebuildAll([start, wireAt(found, nowMs)], {});
  if (wire === undefined) throw unusable('the answer to a rewritten alias cannot be put together');
  return wire;
}

function putRcode(wire: Buffer, rcode: number): void {
  putU16(wire, 2, (flagsOf(wire) & ~RCODE_MASK) | (rcode & RCODE_MASK));
}

function finished(
  query: Query,
  below: Query,
  answer: Answer,
  undos: readonly Undo[],
  nowMs: number,
): Answer {
  const rcode = undos.reduce((current, undo) => undo.rcode?.(current) ?? current, answer.rcode);
  const ttl = ttlOf(undos);
  const changes = changesOf(query, below, undos);
  if (rcode === answer.rcode && ttl === undefined && changes === undefined) return answer;
  const aged = wireAt(answer, nowMs);
  const wire = changes === undefined ? aged : rebuild(aged, changes);
  if (wire === undefined) throw unusable('the response cannot be rewritten');
  putRcode(wire, rcode);
  const result = remade(answer.with({ rcode }), wire, nowMs);
  if (ttl !== undefined)
    for (const offset of result.ttlOffsets) putU32(wire, offset, ttl(u32(wire, offset)));
  return result;
}

function ttlOf(undos: readonly Undo[]): ((seconds: number) => number) | undefined {
  const rules = undos.flatMap(({ ttl }) => (ttl === undefined ? [] : [ttl]));
  if (rules.length === 0) return undefined;
  return (seconds) => rules.reduce((current, rule) => rule(current), seconds);
}

function changesOf(query: Query, below: Query, undos: readonly Undo[]): Changes | undefined {
  if (below === query) return undefined;
  const isRenaming = undos.some(({ owner, target }) => owner !== undefined || target !== undefined);
  const { name, type, class: qclass } = query;
  const question = { name, type, class: qclass };
  if (!isRenaming) return { question };
  const owner = renamer(undos.map((undo) => undo.owner));
  const target = renamer(undos.map((undo) => undo.target));
  return {
    question,
    owner,
    target: (old, inType) => (REWRITTEN.has(inType) ? target(old) : old),
  };
}

/** Types whose names are rewritten (CoreDNS's list). */
const REWRITTEN: ReadonlySet<number> = new Set([
  TYPE.CNAME,
  TYPE.DNAME,
  TYPE.SOA,
  TYPE.SRV,
  TYPE.MX,
  TYPE.NAPTR,
  TYPE.NS,
  TYPE.PTR,
]);

/** A name that no rule changes keeps its letter case; one that would become invalid is left unchanged. */
function renamer(rules: readonly (Renaming | undefined)[]): (name: Uint8Array) => Uint8Array {
  return (name) => {
    const before = nameToText(lowerName(name));
    const after = rules.reduce((text, rule) => rule?.(text) ?? text, before);
    if (after === before) return name;
    try {
      return nameFromText(after);
    } catch {
      return name;
    }
  };
}

function unusable(text: string): DnsError {
  return new DnsError(RCODE.SERVFAIL, text, { code: EDE.OTHER, text });
}
