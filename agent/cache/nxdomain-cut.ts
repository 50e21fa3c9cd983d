/**
 * If a name does not exist, no name below it does (RFC 8020). The cache stores such a denial a second time, under a key
 * with neither type nor class. No question has such a key, but questions below the name look it up.
 */

import { buildResponse } from '../dns/build.ts';
import { FLAG, flagsOf } from '../dns/header.ts';
import { RCODE, TYPE } from '../dns/iana.ts';
import { isSubdomain, readName, skipName } from '../dns/name.ts';
import { type RecordView, readRecords } from '../dns/records.ts';
import { type Answer, ttlOffsetsOf } from '../query/answer.ts';
import type { Query } from '../query/query.ts';
import type { Partition } from './store/store.ts';

/** Bytes of block, type, class, and DO and CD before the name (query.keyIn). */
export const KEY_HEAD = 7;
/** Five 32-bit fields after an SOA's two names (RFC 1035 §3.3.13). */
const SOA_FIXED_BYTES = 20;

/** Applies to names in `zones`, lower-case wire form; without zones it does nothing. */
export class NxdomainCuts {
  readonly #zones: readonly Uint8Array[];

  constructor(zones: readonly Uint8Array[]) {
    this.#zones = zones;
  }

  /**
   * Whether denials of `query` are cuts. A denial with DNSSEC records proves only its own name; a denial that depends
   * on EDNS options is not valid for every client.
   */
  covers(query: Query): boolean {
    if (this.#zones.length === 0 || query.dnssecOk || query.upstreamOptions !== undefined)
      return false;
    return this.#isBelowZone(query.name);
  }

  #isBelowZone(name: Uint8Array): boolean {
    return this.#zones.some((zone) => isSubdomain(name, zone));
  }

  /** The denial of a name above that of `query`, as an answer to it; undefined if no valid one is stored. */
  find(
    query: Query,
    key: string,
    denials: Partition,
    nowMs: number,
    configVersion: number,
  ): Answer | undefined {
    if (!this.covers(query)) return undefined;
    for (const cut of cutKeys(key, query).slice(1)) {
      const entry = denials.peek(cut);
      if (entry?.isFresh(nowMs, configVersion) === true) return denialBelow(entry.answer, query);
    }
    return undefined;
  }

  /** Removes every cut that the existence of the query's name disproves. */
  disproved(query: Query, key: string, denials: Partition): void {
    if (!this.covers(query)) return;
    for (const cut of cutKeys(key, query)) denials.delete(cut);
  }
}

/** Key of the query's own denial as a cut. */
export function cutKey(key: string): string {
  return `${key.slice(0, 2)}\0\0\0\0${key.slice(6)}`;
}

/** Cut keys of the query's name and of all names above it except the root, nearest first. */
export function cutKeys(key: string, query: Query): string[] {
  const { labelCount } = query.head;
  const head = cutKey(key).slice(0, KEY_HEAD);
  const keys: string[] = [];
  for (let i = 0; i < labelCount; i++) {
    keys.push(head + key.slice(KEY_HEAD + query.head.labelOffset(i)));
  }
  return keys;
}

/** `denial` of a name above that of `query`, as an answer to `query`: its SOA. Undefined if that cannot be read. */
export function denialBelow(denial: Answer, query: Query): Answer | undefined {
  const { wire } = denial;
  const soa = readRecords(wire)?.find(
    ({ type, section }) => type === TYPE.SOA && section === 'authority',
  );
  const name = soa && readName(wire, soa.start, wire.length);
  const rdata = soa && soaRdata(wire, soa);
  if (name === undefined || rdata === undefined || soa === undefined) return undefined;
  const { ttlSeconds } = soa;
  const message = buildResponse(query, {
    rcode: RCODE.NXDOMAIN,
    flags: flagsOf(wire) & FLAG.RA,
    authority: [{ name, type: TYPE.SOA, ttlSeconds, rdata }],
  });
  const ttlOffsets = ttlOffsetsOf(readRecords(message) ?? []);
  return denial.with({ wire: message, ttlOffsets });
}

/** An SOA's RDATA without compression; undefined if it is malformed. */
function soaRdata(wire: Buffer, { rdataStart, rdataEnd }: RecordView): Buffer | undefined {
  const fixedAt = rdataEnd - SOA_FIXED_BYTES;
  const primary = readName(wire, rdataStart, fixedAt);
  const mailboxAt = primary && skipName(wire, rdataStart, fixedAt);
  const mailbox = mailboxAt === undefined ? undefined : readName(wire, mailboxAt, fixedAt);
  if (primary === undefined || mailbox === undefined) return undefined;
  return Buffer.concat([primary, mailbox, wire.subarray(fixedAt, rdataEnd)]);
}
