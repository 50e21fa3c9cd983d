/** Failures in one exchange; most have none. */
import type { NetworkError } from '../../base/errors.ts';
import type { Transport } from '../../query/query.ts';
import type { GroupMember } from '../group-member.ts';
import type { Failure } from '../transport/failure.ts';
import { isLack } from '../transport/failure.ts';
import { failureOf, telling } from './outcome.ts';

/** Created at the first failure of an exchange. */
export class Troubles {
  last: NetworkError | undefined;
  readonly #wanted: Transport;
  /** Upstreams that did not reply over the transport that was tried first. */
  readonly #unresponsive: GroupMember[] = [];

  /** `wanted`: the transport that is tried first. */
  constructor(wanted: Transport) {
    this.#wanted = wanted;
  }

  /** An attempt failed `afterMs` after its query was sent. */
  note(member: GroupMember, transport: Transport, failure: Failure, afterMs: number): void {
    this.last = telling(this.last, failureOf(member, transport, failure, afterMs));
    if (transport === this.#wanted && !isLack(failure)) this.#unresponsive.push(member);
  }

  isUnresponsive(member: GroupMember): boolean {
    return this.#unresponsive.includes(member);
  }
}
