/** One query on its way to one upstream over one transport. */

import { LIMITS } from '../../base/limits.ts';
import { buildQuery } from '../../dns/build.ts';
import { FLAG } from '../../dns/header.ts';
import type { Transport } from '../../query/query.ts';
import type { UpstreamQuestion } from '../../query/services/upstreams.ts';
import type { Failure } from './failure.ts';

/** `errno` of a query whose upstream has been let go: there is no use in trying again. */
export const CLOSED = 'ECANCELED';

/** The sender of a query. Exactly one of the two is called, unless the query is abandoned before. */
export interface PendingQueryOwner {
  /** A reply whose source, ID and question match; the rest of it is unread. `message` is only valid during the call. */
  onReply(pending: PendingQuery, message: Buffer): void;
  onFailure(pending: PendingQuery, failure: Failure): void;
}

/** The socket or connection a query is on. */
export interface Connection {
  /** Takes a query off that nobody waits for any more. */
  abandon(pending: PendingQuery): void;
  /** `pending` takes longer than most. */
  late(pending: PendingQuery): void;
  /** Whether a query with EDNS has been answered on it. */
  readonly isProven: boolean;
  /** Where a query is that has not been answered yet. */
  readonly phase: 'connect' | 'handshake' | 'wait';
}

/** `hedge` and `probe` want a way of their own: not the one on which another is waiting. */
export type Purpose = 'query' | 'hedge' | 'probe';

export class PendingQuery {
  readonly question: UpstreamQuestion;
  readonly transport: Transport;
  /** Whether the query carries an OPT. */
  readonly edns: boolean;
  readonly owner: PendingQueryOwner;
  readonly purpose: Purpose;
  id = -1;
  /** When it was handed to a socket or connection. */
  sentMs = 0;
  /** When it went out, which on a connection that is still to be opened is later. */
  writtenMs = 0;
  connection: Connection | undefined;
  /** Where it must not go: a connection that is silent. */
  avoid: Connection | undefined;
  /** Whether a dying connection has handed it on already. */
  isMoved = false;
  /** The name as sent, where the reply must repeat its letter case. */
  randomizedName: Uint8Array | undefined;

  constructor(
    question: UpstreamQuestion,
    transport: Transport,
    edns: boolean,
    owner: PendingQueryOwner,
    purpose: Purpose = 'query',
  ) {
    this.question = question;
    this.transport = transport;
    this.edns = edns;
    this.owner = owner;
    this.purpose = purpose;
  }

  /** Where it is while nobody has answered. */
  get phase(): Connection['phase'] {
    return this.connection?.phase ?? 'wait';
  }

  abandon(): void {
    this.connection?.abandon(this);
    this.connection = undefined;
  }

  /** The query message: our own, never a copy of the client's. */
  encode(): Buffer {
    const { question } = this;
    const { type, class: qclass, dnssecOk, options } = question;
    const name = this.randomizedName ?? question.name;
    const flags =
      FLAG.AD |
      (question.recursionDesired ? FLAG.RD : 0) |
      (question.checkingDisabled ? FLAG.CD : 0);
    const udpSizeBytes = this.edns ? LIMITS.ednsUdpSizeBytes.default : undefined;
    const { id } = this;
    return buildQuery({ id, flags, name, type, class: qclass, dnssecOk, udpSizeBytes, options });
  }
}
