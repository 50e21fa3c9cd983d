import type { Clock } from '../../base/clock.ts';
import { FLAG, flagsOf, putU16 } from '../../dns/header.ts';
import type { Answer } from '../../query/answer.ts';
import { askedEndpoint } from '../../query/asked.ts';
import type { Handle } from '../../query/handler.ts';
import { after } from '../../query/plugin.ts';
import type { Query } from '../../query/query.ts';
import type { FrameSink } from '../../query/services/exports.ts';
import type { ForwardTap } from '../../query/services/upstreams.ts';
import { encodeDnstap, MESSAGE, type Origin, type TappedMessage } from './message.ts';

/** One destination. */
export interface Tap {
  readonly origin: Origin;
  /** Whether the messages themselves are included. */
  readonly isFull: boolean;
  sink: FrameSink | undefined;
}

/** Sends each client's query and response to every tap. Internal questions are not sent. */
export function tapQueries(taps: readonly Tap[], clock: Clock): Handle {
  return (query, next) => {
    if (query.isInternal) return next(query);
    const common = commonOf(query, clock);
    // A copy: the buffer is reused for the next datagram once this one is answered.
    const wire = taps.some(({ isFull }) => isFull)
      ? Buffer.from(query.wire.subarray(0, query.length))
      : undefined;
    send(taps, { ...common, type: MESSAGE.clientQuery, query: wire });
    return after(next, query, (answer) => {
      if (answer.wire.length > 0) {
        const response = wire && responseOf(query, answer);
        const type = MESSAGE.clientResponse;
        send(taps, { ...common, type, responseMs: clock.wallMs(), response });
      }
      return answer;
    });
  };
}

/** Sends each query to an upstream, and its response if there is one, to every tap. */
export function tapForwarded(taps: readonly Tap[], clock: Clock): ForwardTap {
  const isFull = taps.some((tap) => tap.isFull);
  return ({ upstream, protocol, sentMs, query, response }) => {
    const nowMs = clock.wallMs();
    const queryMs = nowMs - (clock.nowMs() - sentMs);
    const common = { protocol, client: undefined, server: upstream, queryMs };
    const wire = isFull ? query() : undefined;
    send(taps, { ...common, type: MESSAGE.forwarderQuery, query: wire });
    const type = MESSAGE.forwarderResponse;
    if (response !== undefined) send(taps, { ...common, type, responseMs: nowMs, response });
  };
}

function commonOf(query: Query, clock: Clock): Omit<TappedMessage, 'type'> {
  const { transport, client, arrivedMs } = query;
  return {
    ...{ protocol: transport, client },
    server: askedEndpoint(query),
    queryMs: clock.wallMs() - (clock.nowMs() - arrivedMs),
  };
}

function send(taps: readonly Tap[], message: TappedMessage): void {
  const { query: _query, response: _response, ...brief } = message;
  for (const { sink, isFull, origin } of taps)
    sink?.add(encodeDnstap(isFull ? message : brief, origin));
}

/** The response with the client's ID and flags; `respond` fits TTLs, OPT and truncation to the client later. */
function responseOf(query: Query, { wire, rcode }: Answer): Buffer {
  const echoed = query.head.flags & (FLAG.RD | FLAG.CD);
  const flags = flagsOf(wire) & ~(FLAG.RD | FLAG.CD | 0xf);
  const copy = Buffer.from(wire);
  putU16(copy, 0, query.id);
  putU16(copy, 2, flags | FLAG.QR | echoed | (rcode & 0xf));
  return copy;
}
