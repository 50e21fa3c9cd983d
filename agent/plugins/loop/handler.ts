/** Tells a query that came back to us from one that is on its way out, and keeps a looping block quiet. */
import { DnsError, type ExtendedError } from '../../base/errors.ts';
import { EDE, RCODE } from '../../dns/iana.ts';
import { sameName } from '../../dns/name.ts';
import type { Handler, Result } from '../../query/handler.ts';
import { Query } from '../../query/query.ts';

/** What one check is looking for. */
export interface Probe {
  /** Name, wire form, that we ask ourselves. */
  readonly ask: Uint8Array;
  /**
   * Name that goes upstream in its place. Were it the same, its return would be a second asker of one and the same
   * question and would wait in the cache for its own answer instead of coming here.
   */
  readonly send: Uint8Array;
}

export interface LoopState {
  /** The check under way. */
  probe: Probe | undefined;
  /** What sent comes back: no query may go upstream. */
  isLooping: boolean;
  readonly onReturn: () => void;
}

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

/** What a client of a quarantined block is told. */
export function quarantineOf(zone: string): ExtendedError {
  return { code: EDE.OTHER, text: `forwarding loop: queries for ${zone} come back to this server` };
}
