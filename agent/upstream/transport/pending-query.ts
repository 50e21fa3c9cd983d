/** One query in flight to one upstream over one transport. */

import { LIMITS } from '../../base/limits.ts';
import type { QueryFields } from '../../dns/build.ts';
import { FLAG } from '../../dns/header.ts';
import type { Transport } from '../../query/query.ts';
import type { UpstreamQuestion } from '../../query/services/upstreams.ts';
import type { Failure } from './failure.ts';

/** `errno` of a query whose upstream was released: a retry is useless. */
export const CLOSED = 'ECANCELED';

/** The sender of a query. Exactly one of the two methods is called, unless the query is abandoned first. */
export interface PendingQueryOwner {
  /** A reply with matching source, ID and question; the rest is unparsed. `message` is valid only during the call. */
  onReply(pending: PendingQuery, message: Buffer): void;
  onFailure(pending: PendingQuery, failure: Failure): void;
}

/** The socket or connection of a query. */
export interface Connection {
  /** Removes a query that no client waits for any more. */
  abandon(pending: PendingQuery): void;
  /** `pending` takes longer than most queries. */
  late(pending: PendingQuery): void;
  /** Whether a query with EDNS has been answered on it. */
  readonly isProven: boolean;
  /** The phase of a query without a reply. */
  readonly phase: 'connect' | 'handshake' | 'wait';
}

/** `hedge` and `probe` need another socket or connection than the one on which a query is waiting. */
export type Purpose = 'query' | 'hedge' | 'probe';

/**
 * Created for one attempt; a hedge or a repeat is another one. Its owner may set `avoid`; its socket or connection sets
 * `id`, the times, `connection` and `randomizedName`.
 */
export class PendingQuery implements QueryFields {
  readonly question: UpstreamQuestion;
  readonly transport: Transport;
  /** Whether the query carries an OPT. */
  readonly edns: boolean;
  readonly owner: PendingQueryOwner;
  readonly purpose: Purpose;
  id = -1;
  /** When it was given to a socket or connection. */
  sentMs = 0;
  /** When it was written, which on a connection that is still opening is later. */
  writtenMs = 0;
  connection: Connection | undefined;
  /** A silent connection that must not carry it. */
  avoid: Connection | undefined;
  /** Whether a failed connection has passed it on already. */
  isMoved = false;
  /** The name as sent, if the reply must repeat its letter case. */
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

  /** The current phase while there is no reply. */
  get phase(): Connection['phase'] {
    return this.connection?.phase ?? 'wait';
  }

  /** Gives up the query: its owner is not called any more. Idempotent. */
  abandon(): void {
    this.connection?.abandon(this);
    this.connection = undefined;
  }

  // The query message: the agent's own, never a copy of the client's.

  get name(): Uint8Array {
    return this.randomizedName ?? this.question.name;
  }
  get type(): number {
    return this.question.type;
  }
  get class(): number {
    return this.question.class;
  }
  get dnssecOk(): boolean {
    return this.question.dnssecOk;
  }
  get options(): Uint8Array | undefined {
    return this.question.options;
  }
  get flags(): number {
    const { recursionDesired, checkingDisabled } = this.question;
    return FLAG.AD | (recursionDesired ? FLAG.RD : 0) | (checkingDisabled ? FLAG.CD : 0);
  }
  get udpSizeBytes(): number | undefined {
    return this.edns ? LIMITS.ednsUdpSizeBytes.default : undefined;
  }
}
