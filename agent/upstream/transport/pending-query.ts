/** One query on its way to one upstream over one transport. */

import { LIMITS } from '../../base/limits.ts';
import { buildQuery } from '../../dns/build.ts';
import { FLAG } from '../../dns/header.ts';
import type { Transport } from '../../query/query.ts';
import type { UpstreamQuestion } from '../../query/services/upstreams.ts';
import type { Failure } from './failure.ts';

/** `errno` of a flight whose upstream has been let go: there is no use in trying again. */
export const CLOSED = 'ECANCELED';

/** Who sent it. Exactly one of the two is called, unless the flight is abandoned before. */
export interface FlightOwner {
  /** A reply whose source, ID and question match; the rest of it is unread. `message` is only valid during the call. */
  onReply(flight: Flight, message: Buffer): void;
  onFailure(flight: Flight, failure: Failure): void;
}

/** The socket or connection a flight is on. */
export interface Carrier {
  /** Takes a flight off that nobody waits for any more. */
  abandon(flight: Flight): void;
  /** `flight` takes longer than most. */
  late(flight: Flight): void;
  /** Whether a query with EDNS has been answered on it. */
  readonly isProven: boolean;
  /** Where a flight is that has not been answered yet. */
  readonly phase: 'connect' | 'handshake' | 'wait';
}

/** `hedge` and `probe` want a way of their own: not the one on which another is waiting. */
export type Purpose = 'query' | 'hedge' | 'probe';

export class Flight {
  readonly question: UpstreamQuestion;
  readonly transport: Transport;
  /** Whether the query carries an OPT. */
  readonly edns: boolean;
  readonly owner: FlightOwner;
  readonly purpose: Purpose;
  id = -1;
  /** When it was handed to a socket or connection. */
  sentMs = 0;
  /** When it went out, which on a connection that is still to be opened is later. */
  writtenMs = 0;
  carrier: Carrier | undefined;
  /** Where it must not go: a carrier that is silent. */
  avoid: Carrier | undefined;
  /** Whether a dying connection has handed it on already. */
  isMoved = false;
  /** The name as sent, where the reply must repeat its letter case. */
  spelling: Uint8Array | undefined;

  constructor(
    question: UpstreamQuestion,
    transport: Transport,
    edns: boolean,
    owner: FlightOwner,
    purpose: Purpose = 'query',
  ) {
    this.question = question;
    this.transport = transport;
    this.edns = edns;
    this.owner = owner;
    this.purpose = purpose;
  }

  /** Where it is while nobody has answered. */
  get phase(): Carrier['phase'] {
    return this.carrier?.phase ?? 'wait';
  }

  abandon(): void {
    this.carrier?.abandon(this);
    this.carrier = undefined;
  }

  /** The query message: our own, never a copy of the client's. */
  encode(): Buffer {
    const { question } = this;
    const { type, class: qclass, dnssecOk, options } = question;
    const name = this.spelling ?? question.name;
    const flags =
      FLAG.AD |
      (question.recursionDesired ? FLAG.RD : 0) |
      (question.checkingDisabled ? FLAG.CD : 0);
    const udpSizeBytes = this.edns ? LIMITS.ednsUdpSizeBytes.default : undefined;
    const { id } = this;
    return buildQuery({ id, flags, name, type, class: qclass, dnssecOk, udpSizeBytes, options });
  }
}
