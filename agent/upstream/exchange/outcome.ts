/** Errors of an exchange without a usable reply. */
import { DnsError, NetworkError, type Phase } from '../../base/errors.ts';
import { LocalLackError, lackOf, lacksSource } from '../../base/lack.ts';
import { EDE, RCODE } from '../../dns/iana.ts';
import type { Transport } from '../../query/query.ts';
import type { UpstreamProtocol } from '../../query/services/upstreams.ts';
import type { GroupMember } from '../group-member.ts';
import { type Failure, isLack } from '../transport/failure.ts';
import type { SeenAttempt } from './attempt-watch.ts';
import type { Attempt } from './plan.ts';

/** An attempt as an operator sees it; `outcome` is the rcode of its reply, or its failure. */
export function seenAttempt(
  { pending, member }: Attempt,
  outcome: number | string,
  nowMs: number,
): SeenAttempt {
  const isReply = typeof outcome === 'number';
  return {
    question: pending.question,
    upstream: member.upstream.name,
    transport: wireOf(member, pending.transport),
    isHedge: pending.purpose === 'hedge',
    hasEdns: pending.edns,
    durationMs: nowMs - pending.sentMs,
    rcode: isReply ? outcome : undefined,
    failure: isReply ? undefined : outcome,
  };
}

/** SERVFAIL with a cause in the agent, not in the network. */
export function servfail(text: string): DnsError {
  return new DnsError(RCODE.SERVFAIL, text, { code: EDE.OTHER, text });
}

/**
 * SERVFAIL after attempts, of which the last failed with `failure`, or for lack of a local resource. EDE 22 if there
 * were only timeouts, else 23 (RFC 8914 §4).
 */
export function unanswered(failure: NetworkError | undefined, attempts: number): DnsError {
  if (failure instanceof SourceError)
    return new LocalLackError(`the address ${failure.source} to send from`, failure.errno);
  const lack = failure && lackOf(failure.errno);
  if (lack !== undefined) return new LocalLackError(lack, failure?.errno ?? '');
  const tried = attempts <= 1 ? '' : `, the last of ${attempts} attempts`;
  const text = failure === undefined ? 'no upstream answered' : `${failure.message}${tried}`;
  const code = codeOf(failure?.errno ?? 'ETIMEDOUT');
  return new DnsError(RCODE.SERVFAIL, text, { code, text }, { cause: failure });
}

/** SERVFAIL at once, because every upstream is known to be down. `unresolved`: names without an address. */
export function allDown(members: readonly GroupMember[], unresolved: string): DnsError {
  const [first] = members;
  if (first === undefined) {
    const why = unresolved === '' ? '' : `: ${unresolved} is not resolved yet`;
    const text = `there is no upstream to ask${why}`;
    return new DnsError(RCODE.SERVFAIL, text, { code: EDE.NO_REACHABLE_AUTHORITY, text });
  }
  const names = members.map(({ upstream }) => upstream.name).join(', ');
  const failure = first.health?.lastFailure;
  const why = failure === undefined ? '' : ` (${failure.errno} in ${failure.phase})`;
  const text = `every upstream is down: ${names}${why}`;
  return new DnsError(RCODE.SERVFAIL, text, { code: codeOf(failure?.errno ?? ''), text });
}

/**
 * Which of two consecutive failures to report: a local lack, without which there might have been a reply, else the
 * later one.
 */
export function telling(before: NetworkError | undefined, latest: NetworkError): NetworkError {
  return before !== undefined && isLack(before) ? before : latest;
}

/** The node does not have the address to send from. */
class SourceError extends NetworkError {
  readonly source: string;

  constructor(source: string, phase: Phase, errno: string, message: string) {
    super(phase, errno, message);
    this.source = source;
  }
}

/** The transport as it is on the wire. */
export function wireOf({ upstream }: GroupMember, transport: Transport): UpstreamProtocol {
  return upstream.isTls ? upstream.stream : transport;
}

/** Text of one attempt's failure. */
export function failureOf(
  member: GroupMember,
  transport: Transport,
  { phase, errno }: Failure,
  afterMs: number,
): NetworkError {
  const { name, source } = member.upstream;
  const text = `${name} over ${wireOf(member, transport)}: ${errno} in ${phase} after ${Math.round(afterMs)} ms`;
  if (lacksSource(errno, source)) return new SourceError(source, phase, errno, text);
  return new NetworkError(phase, errno, text);
}

/** Timeouts and useless replies are not network errors. */
function codeOf(errno: string): number {
  const isNetwork = errno !== 'ETIMEDOUT' && errno !== 'EBADMSG' && errno !== '';
  return isNetwork ? EDE.NETWORK_ERROR : EDE.NO_REACHABLE_AUTHORITY;
}
