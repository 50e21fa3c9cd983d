/** Questions that a plugin asks the whole server in order to answer a client. */
import { DnsError } from '../base/errors.ts';
import { EDE, RCODE } from '../dns/iana.ts';
import type { Answer } from './answer.ts';
import type { Query } from './query.ts';
import type { Services } from './services/services.ts';

/** Maximum depth of questions that cause further questions; the same as CoreDNS's limit for chains of aliases. */
const MAX_DEPTH = 8;

/**
 * The server's answer to `name` (lower-case wire form) and `type`, with the class, DO and CD of `query`. Rejects with
 * DnsError if questions cause questions without end.
 */
export function resolveFor(
  query: Query,
  name: Uint8Array,
  type: number,
  { resolve }: Pick<Services, 'resolve'>,
): Promise<Answer> {
  if (query.depth >= MAX_DEPTH) {
    const text = `more than ${MAX_DEPTH} nested questions for one query`;
    return Promise.reject(new DnsError(RCODE.SERVFAIL, text, { code: EDE.OTHER, text }));
  }
  const { class: qclass, dnssecOk, checkingDisabled, server, transport } = query;
  return resolve({
    name: name.slice(),
    type,
    class: qclass,
    dnssecOk,
    checkingDisabled,
    server,
    transport,
    depth: query.depth + 1,
    behalfOf: query.clientKey,
  });
}
