/** An upstream room on a fake clock and fake sockets. */
import type { Endpoint } from '../../../agent/base/address.ts';
import type { MemoryLedger } from '../../../agent/base/clients/memory-ledger.ts';
import { DnsError } from '../../../agent/base/errors.ts';
import type { ReportLack } from '../../../agent/base/lack.ts';
import { CLASS, TYPE } from '../../../agent/dns/iana.ts';
import { nameFromText } from '../../../agent/dns/name.ts';
import type {
  UpstreamGroupOptions,
  UpstreamQuestion,
  UpstreamReply,
} from '../../../agent/query/services/upstreams.ts';
import { createUpstreams, type UpstreamsRoom } from '../../../agent/upstream/upstreams.ts';
import { FakeClock } from '../fake-clock.ts';
import { ledgerWith } from '../ledger.ts';
import { ReadableMetrics, RecordingLogger } from '../services.ts';
import { FakeSockets } from './fake-sockets.ts';

export const A: Endpoint = { address: '192.0.2.1', port: 53 };
export const B: Endpoint = { address: '192.0.2.2', port: 53 };

export interface Fixture {
  readonly clock: FakeClock;
  readonly metrics: ReadableMetrics;
  readonly log: RecordingLogger;
  readonly sockets: FakeSockets;
  readonly room: UpstreamsRoom;
}

interface Overrides {
  readonly ledger?: MemoryLedger;
  readonly random?: () => number;
  readonly reportLack?: ReportLack;
}

/** `random` always returns 0, so that one socket of each pool is used and the first upstream comes first. */
export function fixture(overrides: Overrides = {}): Fixture {
  const clock = new FakeClock();
  const metrics = new ReadableMetrics();
  const log = new RecordingLogger();
  const sockets = new FakeSockets();
  let id = 0;
  const ids = (): number => id++ & 0xffff;
  const room = createUpstreams({
    clock,
    metrics,
    log,
    sockets,
    ids,
    random: () => 0,
    ledger: ledgerWith(),
    ...overrides,
  });
  return { clock, metrics, log, sockets, room };
}

export function groupOptions(overrides: Partial<UpstreamGroupOptions> = {}): UpstreamGroupOptions {
  return {
    name: 'forward',
    upstreams: [A],
    policy: 'sequential',
    forceTcp: false,
    preferUdp: false,
    maxFails: 2,
    healthCheck: { intervalMs: 500, recursionDesired: true, domain: nameFromText('.') },
    expireMs: 10_000,
    maxConcurrent: 0,
    maxConnectAttempts: 0,
    failFastAllUnhealthy: false,
    failoverRcodes: [],
    ...overrides,
  };
}

export function question(overrides: Partial<UpstreamQuestion> = {}): UpstreamQuestion {
  return {
    name: nameFromText('www.example.org.'),
    type: TYPE.A,
    class: CLASS.IN,
    recursionDesired: true,
    checkingDisabled: false,
    dnssecOk: false,
    clientTransport: 'udp',
    ...overrides,
  };
}

/** The result of an exchange; undefined while it runs. */
export interface Watched {
  outcome: UpstreamReply | DnsError | undefined;
}

/** Follows an exchange without waiting for it. */
export function watch(exchange: Promise<UpstreamReply>): Watched {
  const watched: Watched = { outcome: undefined };
  exchange.then(
    (reply) => {
      watched.outcome = reply;
    },
    (error: unknown) => {
      if (!(error instanceof DnsError)) throw error;
      watched.outcome = error;
    },
  );
  return watched;
}

/** The reply of an exchange. Throws where it runs or has failed. */
export function replyOf({ outcome }: Watched): UpstreamReply {
  if (outcome === undefined) throw new Error('the exchange is still running');
  if (outcome instanceof DnsError) throw outcome;
  return outcome;
}

/** The error of an exchange. Throws where it runs or has been answered. */
export function errorOf({ outcome }: Watched): DnsError {
  if (outcome instanceof DnsError) return outcome;
  throw new Error(outcome === undefined ? 'the exchange is still running' : 'it was answered');
}
