/** A cache over a scripted upstream, on a clock that only the test advances. */
import { createCache, type ProcessCache } from '../../../agent/cache/cache.ts';
import { buildResponse, type NewRecord, type NewResponse } from '../../../agent/dns/build.ts';
import { FLAG } from '../../../agent/dns/header.ts';
import { CLASS, RCODE, TYPE } from '../../../agent/dns/iana.ts';
import { nameFromText } from '../../../agent/dns/name.ts';
import { readReply } from '../../../agent/dns/reply.ts';
import { type Answer, relayedAnswer } from '../../../agent/query/answer.ts';
import type { Handler } from '../../../agent/query/handler.ts';
import { Query } from '../../../agent/query/query.ts';
import type { BlockContext } from '../../../agent/query/services/block.ts';
import type {
  BlockCache,
  CacheOptions,
  ServeStaleOptions,
} from '../../../agent/query/services/cache.ts';
import { type FakeServices, fakeServices, TEST_BLOCK } from '../../support/services.ts';

export const DEFAULTS: CacheOptions = {
  success: { capacity: 9_984, maxTtlSeconds: 3_600, minTtlSeconds: 5 },
  denial: { capacity: 9_984, maxTtlSeconds: 1_800, minTtlSeconds: 5 },
  servfailMs: 1_000,
  disableSuccess: [],
  disableDenial: [],
  keepTtl: false,
  prefetch: undefined,
  serveStale: undefined,
  lastKnownGood: undefined,
  nxdomainCut: [],
  nxdomainProbe: [],
  cluster: {
    domains: [nameFromText('cluster.local.')],
    denial: { capacity: 9_984, maxTtlSeconds: 5, minTtlSeconds: 0 },
  },
};

export const IMMEDIATE: ServeStaleOptions = {
  windowMs: 3_600_000,
  mode: 'immediate',
  budgetMs: 0,
  ttlSeconds: 30,
  recheckMs: 1_000,
};
export const VERIFY: ServeStaleOptions = { ...IMMEDIATE, mode: 'verify', budgetMs: 200 };

export interface Ask {
  readonly name?: string;
  readonly type?: number;
  readonly class?: number;
  readonly dnssecOk?: boolean;
  readonly checkingDisabled?: boolean;
  readonly recursionDesired?: boolean;
  /** The client that asks. */
  readonly behalfOf?: string;
}

/** A cache with one open block. `upstream` may be replaced at any time. */
export class Bench {
  readonly services: FakeServices;
  readonly cache: ProcessCache;
  block: BlockCache;
  /** Queries that reached the rest of the chain. */
  readonly asked: Query[] = [];
  upstream: Handler = () => {
    throw new Error('no upstream set');
  };

  constructor(
    options: Partial<CacheOptions> = {},
    parts: { totalBytes?: number; random?: () => number } = {},
  ) {
    this.services = fakeServices();
    const { clock, metrics, log, ledger } = this.services;
    const { totalBytes = 4_000_000, random = () => 0 } = parts;
    this.cache = createCache({ clock, metrics, log, totalBytes, random, ledger });
    this.block = this.open(options);
  }

  open(options: Partial<CacheOptions>, block: Partial<BlockContext> = {}): BlockCache {
    this.block = this.cache.open({ ...TEST_BLOCK, ...block }, '.', { ...DEFAULTS, ...options });
    return this.block;
  }

  readonly next: Handler = (query) => {
    this.asked.push(query);
    return this.upstream(query);
  };

  ask(ask: Ask = {}): Answer | Promise<Answer> {
    return this.block.handle(queryFor(ask, this.services.clock.nowMs()), this.next);
  }

  /** Sends a query that must be answered at once. */
  hit(ask: Ask = {}): Answer {
    const result = this.ask(ask);
    if (result instanceof Promise) throw new Error('a hit must not make a promise');
    return result;
  }

  /** Sends a query that must wait. */
  waiting(ask: Ask = {}): Promise<Answer> {
    const result = this.ask(ask);
    if (!(result instanceof Promise)) throw new Error('an answer came at once');
    return result;
  }

  /** A relayed reply as forward returns it, received now. */
  reply(query: Query, response: Partial<NewResponse> = {}): Answer {
    return replyTo(query, response, this.services.clock.nowMs());
  }

  count(name: string, labels: Record<string, string> = {}): number {
    return this.services.metrics.value(name, labels);
  }
}

export function queryFor(ask: Ask, nowMs: number): Query {
  const query = Query.internal(
    {
      name: nameFromText(ask.name ?? 'www.example.org.'),
      type: ask.type ?? TYPE.A,
      class: ask.class ?? CLASS.IN,
      dnssecOk: ask.dnssecOk ?? false,
      checkingDisabled: ask.checkingDisabled ?? false,
      server: TEST_BLOCK.servers[0] ?? { index: 0, label: '' },
    },
    nowMs,
    ask.behalfOf,
  );
  if (ask.recursionDesired === false) query.head.flags &= ~FLAG.RD;
  return query;
}

export function replyTo(query: Query, response: Partial<NewResponse>, bornMs: number): Answer {
  const full = { rcode: RCODE.NOERROR, flags: FLAG.RA, ...response };
  const message = buildResponse({ name: query.name, type: query.type, class: query.class }, full);
  const reply = readReply(message);
  if (reply === undefined) throw new Error('the test built a bad reply');
  return relayedAnswer(reply, 'forward', bornMs);
}

export function addressRecord(ttlSeconds: number, lastByte = 1): NewRecord {
  return { type: TYPE.A, ttlSeconds, rdata: Uint8Array.of(192, 0, 2, lastByte) };
}

export function soaRecord(ttlSeconds: number, minimum: number): NewRecord {
  const rdata = Buffer.alloc(22);
  rdata.writeUInt32BE(minimum, 18);
  return { name: nameFromText('example.org.'), type: TYPE.SOA, ttlSeconds, rdata };
}

export const nxdomain = (minimum = 60, ttl = 3_600): Partial<NewResponse> => ({
  rcode: RCODE.NXDOMAIN,
  authority: [soaRecord(ttl, minimum)],
});
export const nodata = (minimum = 60, ttl = 3_600): Partial<NewResponse> => ({
  authority: [soaRecord(ttl, minimum)],
});
export const servfail: Partial<NewResponse> = { rcode: RCODE.SERVFAIL };

/** First TTL in an answer's bytes. */
export function ttlIn(answer: Answer, index = 0): number {
  return answer.wire.readUInt32BE(answer.ttlOffsets[index] as number);
}

/** Last byte of the first record: which of several answers this is. */
export function lastByte(answer: Answer): number {
  return answer.wire[(answer.ttlOffsets[0] as number) + 9] as number;
}
