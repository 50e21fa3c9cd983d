/** Why an attempt ended without a reply. */
import type { Phase } from '../../base/errors.ts';
import { lackOf } from '../../base/lack.ts';

/** The phase of the attempt, and the system's error name. */
export interface Failure {
  readonly phase: Phase;
  readonly errno: string;
  /** The reply was malformed, or the connection was closed before any query with EDNS had been answered on it. */
  readonly mayBeEdns?: boolean;
}

const TLS_REMEDY =
  'openssl s_client -connect UPSTREAM shows its certificate: compare names, dates and issuer with `tls` and ' +
  '`tls_servername` of `forward`; for https:// see with -alpn h2 that it speaks HTTP/2';

/** What to do about an upstream that refuses TLS, or whose certificate is refused; undefined for other failures. */
export function tlsRemedy({ phase, errno }: Failure): string | undefined {
  return phase === 'handshake' && errno !== 'ETIMEDOUT' ? TLS_REMEDY : undefined;
}

/** Whether an attempt failed for lack of a local resource, which says nothing about the upstream. */
export function isLack({ errno }: Failure): boolean {
  return lackOf(errno) !== undefined;
}
