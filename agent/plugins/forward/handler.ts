/** Passes a query to the first forward of its block that serves its name. */
import type { Clock } from '../../base/clock.ts';
import { DnsError } from '../../base/errors.ts';
import { EDE, isTransfer, RCODE, rcodeName } from '../../dns/iana.ts';
import { isSubdomain } from '../../dns/name.ts';
import { type Answer, relayedAnswer } from '../../query/answer.ts';
import { gaveWayAnswer } from '../../query/error-answer.ts';
import type { Handler, Result } from '../../query/handler.ts';
import type { Query } from '../../query/query.ts';
import type {
  BlockTaps,
  UpstreamGroup,
  UpstreamQuestion,
  UpstreamReply,
} from '../../query/services/upstreams.ts';

/** Larger rcodes need an OPT, which belongs to one hop (RFC 6891 §6.1.3). */
const MAX_HEADER_RCODE = 15;

const NO_TRANSFER = [
  RCODE.REFUSED,
  'zone transfers need TCP',
  { code: EDE.NOT_SUPPORTED, text: 'zone transfers need TCP (RFC 5936 §4.2)' },
] as const;

/** One forward line. */
export interface Forwarder {
  /** Zone, wire form, whose names it forwards. */
  readonly from: Uint8Array;
  /** Zones below `from`, wire form, that it does not forward. */
  readonly except: readonly Uint8Array[];
  readonly nextRcodes: ReadonlySet<number>;
  readonly nextOnNoData: boolean;
  readonly group: () => UpstreamGroup;
}

/**
 * A query for a name that no forwarder serves goes to `next`. Rejects with DnsError if an upstream's rcode needs an OPT
 * (SERVFAIL); throws it for a zone transfer over UDP (REFUSED, RFC 5936 §4.2).
 */
export function forwardHandler(
  forwarders: readonly Forwarder[],
  clock: Clock,
  taps: BlockTaps,
): (query: Query, next: Handler) => Result {
  const takes = ({ from, except }: Forwarder, name: Uint8Array): boolean =>
    isSubdomain(name, from) && !except.some((zone) => isSubdomain(name, zone));

  const find = (name: Uint8Array, first: number): number => {
    for (let at = first; at < forwarders.length; at++) {
      if (takes(forwarders[at] as Forwarder, name)) return at;
    }
    return -1;
  };

  const ask = (
    question: UpstreamQuestion,
    deadlineMs: number,
    at: number,
    metadata: Query['metadata'],
  ): Promise<Answer> => {
    const forwarder = forwarders[at] as Forwarder;
    const budgetMs = Math.max(1, deadlineMs - clock.nowMs());
    return forwarder
      .group()
      .exchange(question, budgetMs)
      .then((upstreamReply) => {
        const following = wantsNext(forwarder, upstreamReply) ? find(question.name, at + 1) : -1;
        if (following !== -1) return ask(question, deadlineMs, following, metadata);
        metadata?.set('forward/upstream', upstreamReply.upstream);
        if (upstreamReply.reply.rcode > MAX_HEADER_RCODE) throw hopError(upstreamReply);
        return relayedAnswer(upstreamReply.reply, 'forward', clock.nowMs());
      });
  };

  return (query, next) => {
    const at = find(query.name, 0);
    if (at === -1) return next(query);
    if (isTransfer(query.type) && query.transport === 'udp') throw new DnsError(...NO_TRANSFER);
    const forwarder = forwarders[at] as Forwarder;
    if (!forwarder.group().admits(query.clientKey)) return gaveWayAnswer(query);
    return ask(questionOf(query, taps), query.arrivedMs + query.budgetMs, at, query.metadata);
  };
}

/** An upstream's errors about its hop to the agent (EDNS version, cookies, keys: RFC 6895 §2.3) are not for clients. */
function hopError({ reply, upstream, transport }: UpstreamReply): DnsError {
  const text = `${upstream} over ${transport}: ${rcodeName(reply.rcode)}`;
  return new DnsError(RCODE.SERVFAIL, text, { code: EDE.NO_REACHABLE_AUTHORITY, text });
}

function wantsNext({ nextRcodes, nextOnNoData }: Forwarder, { reply }: UpstreamReply): boolean {
  if (nextRcodes.has(reply.rcode)) return true;
  const isNoData = reply.rcode === RCODE.NOERROR && reply.records[0]?.section !== 'answer';
  return nextOnNoData && isNoData;
}

function questionOf(query: Query, { forwarded }: BlockTaps): UpstreamQuestion {
  return {
    // A view is safe: the query object is not reused while its answer is pending.
    name: query.name,
    type: query.type,
    class: query.class,
    recursionDesired: query.recursionDesired,
    checkingDisabled: query.checkingDisabled,
    dnssecOk: query.dnssecOk,
    options: query.upstreamOptions,
    clientTransport: query.transport,
    clientKey: query.clientKey,
    tap: forwarded,
  };
}
