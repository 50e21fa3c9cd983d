/** Recognizes the agent's own check query when it comes back, and stops forwarding in a looping block. */
import { DnsError, type ExtendedError } from '../../base/errors.ts';
import { EDE, RCODE } from '../../dns/iana.ts';
import { sameName } from '../../dns/name.ts';
import type { Handler, Result } from '../../query/handler.ts';
import { Query } from '../../query/query.ts';

/** Names of one check. */
export interface Probe {
  /** Name, wire form, that the agent asks itself. */
  readonly ask: Uint8Array;
  /**
   * Name that is sent upstream instead. With the same name, the returning query would wait in the cache for its own
   * answer and never reach this plugin.
   */
  readonly send: Uint8Array;
}

/** What the handler and the check share. */
export interface LoopState {
  /** The check in progress. */
  probe: Probe | undefined;
  /** The sent query has come back: no query may go upstream. */
  isLooping: boolean;
  readonly onReturn: () => void;
}

/**
 * Sends the check's query on under its other name and calls `onReturn` when that comes back. It then throws DnsError
 * with SERVFAIL and `quarantined`, as it does for every other query while `isLooping`.
 */
export function loopHandler(
  state: LoopState,
  quarantined: ExtendedError,
): (query: Query, next: Handler) => Result {
  return (query, next) => {
    const { probe } = state;
    if (probe !== undefined) {
      if (sameName(query.name, probe.ask)) return next(sentAs(query, probe.send));
      if (sameName(query.name, probe.send)) {
        state.onReturn();
        throw new DnsError(RCODE.SERVFAIL, quarantined.text, quarantined);
      }
    }
    if (state.isLooping) throw new DnsError(RCODE.SERVFAIL, quarantined.text, quarantined);
    return next(query);
  };
}

function sentAs(query: Query, name: Uint8Array): Query {
  const { type, dnssecOk, checkingDisabled, server } = query;
  return Query.internal({ name, type, dnssecOk, checkingDisabled, server }, query.arrivedMs);
}

/** The error for clients of a block whose queries loop. */
export function quarantineOf(zone: string): ExtendedError {
  return { code: EDE.OTHER, text: `forwarding loop: queries for ${zone} come back to this server` };
}
