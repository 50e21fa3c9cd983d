/**
 * How long an answer lives. TTLs are bounded record by record, so a client sees each record's own; the answer lives as
 * long as its shortest TTL (RFC 2181 §5.2 within a set). Negative answers live for the smaller of the SOA's TTL and its
 * MINIMUM (RFC 2308 §5).
 */
import { putU32, u32 } from '../../dns/header.ts';
import { TYPE } from '../../dns/iana.ts';
import type { RecordView } from '../../dns/records.ts';
import type { TtlBounds } from '../../query/services/cache.ts';

/** Lifetime of answers without a usable TTL, as in CoreDNS: delegations, answers without records. */
const BASE_TTL_SECONDS = 5;
/** A TTL with the highest bit set counts as 0 (RFC 2181 §8). */
const MAX_WIRE_TTL_SECONDS = 0x7fffffff;
/** Two root names and five 32-bit fields: the shortest SOA RDATA (RFC 1035 §3.3.13). */
const MIN_SOA_RDATA_BYTES = 22;

/** `ttlSeconds` is within the bounds of the configuration, whatever the message contains. */
export interface Lifetime {
  /** The message with bounded TTLs. */
  readonly wire: Buffer;
  readonly ttlSeconds: number;
}

/**
 * `records`: the shortest TTL. `negative`: bounded by the SOA's MINIMUM as well. `base`: CoreDNS's 5 s for answers
 * without a usable TTL.
 */
export type TtlRule = 'records' | 'negative' | 'base';

/** Never writes to `wire`: if a TTL changes, the result is a copy. */
export function lifetimeOf(
  wire: Buffer,
  records: readonly RecordView[],
  rule: TtlRule,
  keep: TtlBounds,
): Lifetime {
  let own = wire;
  let shortest = Number.POSITIVE_INFINITY;
  for (const record of records) {
    const ttl = clamp(rule === 'negative' ? negativeTtl(wire, record) : plainTtl(record), keep);
    shortest = Math.min(shortest, ttl);
    if (ttl === record.ttlSeconds) continue;
    if (own === wire) own = Buffer.from(wire);
    putU32(own, record.ttlOffset, ttl);
  }
  const hasOwn = rule !== 'base' && shortest !== Number.POSITIVE_INFINITY;
  return { wire: own, ttlSeconds: hasOwn ? shortest : clamp(BASE_TTL_SECONDS, keep) };
}

function clamp(ttlSeconds: number, { minTtlSeconds, maxTtlSeconds }: TtlBounds): number {
  return Math.min(Math.max(ttlSeconds, minTtlSeconds), maxTtlSeconds);
}

function plainTtl({ ttlSeconds }: RecordView): number {
  return ttlSeconds > MAX_WIRE_TTL_SECONDS ? 0 : ttlSeconds;
}

function negativeTtl(wire: Buffer, record: RecordView): number {
  const ttl = plainTtl(record);
  if (record.type !== TYPE.SOA || record.section !== 'authority') return ttl;
  if (record.rdataEnd - record.rdataStart < MIN_SOA_RDATA_BYTES) return ttl;
  const minimum = u32(wire, record.rdataEnd - 4);
  return Math.min(ttl, minimum > MAX_WIRE_TTL_SECONDS ? 0 : minimum);
}
