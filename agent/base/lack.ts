/**
 * Resources that this machine may lack: descriptors, memory, local ports, an address to send from. Such a failure says nothing
 * about the server that was to be asked or the file that was to be read.
 */
import { errnoOf, LocalError, NodensError } from './errors.ts';

/** Label `what` of `nodens_local_lack_total`. */
export const LACKS = ['descriptors', 'memory', 'ports', 'address'] as const;
/** A kind of resource that the node may have run out of. */
export type Lack = (typeof LACKS)[number];

const BY_ERRNO: Readonly<Partial<Record<string, Lack>>> = {
  EMFILE: 'descriptors',
  ENFILE: 'descriptors',
  ENOMEM: 'memory',
  ENOBUFS: 'memory',
  // `connect` fails so if every local port to that server is taken: for TCP after a bind, and for UDP.
  EADDRNOTAVAIL: 'ports',
  EADDRINUSE: 'ports',
  EAGAIN: 'ports',
};

/** Whether an attempt to send from an address failed because this node does not have it: a lack of ports is EADDRINUSE then. */
export function lacksSource(errno: string, source: string | undefined): source is string {
  return source !== undefined && errno === 'EADDRNOTAVAIL';
}

/** The local resource that a failed attempt to reach a server lacked; undefined for other failures. */
export function lackOf(errno: string): Lack | undefined {
  return BY_ERRNO[errno];
}

/** As `lackOf`, for opening or binding: a port that is taken is then the configuration's fault. */
export function lackOfOpening(errno: string): 'descriptors' | 'memory' | undefined {
  const lack = lackOf(errno);
  return lack === 'descriptors' || lack === 'memory' ? lack : undefined;
}

/** Counts and logs a lack. `during` completes "the agent could not …". */
export type ReportLack = (lack: Lack, errno: string, during: string) => void;

/** Ends a query that could not be sent: SERVFAIL with an extended error that names this node's lack. Never stored. */
export class LocalLackError extends LocalError {
  /** `what` is a lack, or names it. */
  constructor(what: string, errno: string) {
    super(`no upstream was asked: this node lacks ${what} (${errno})`);
  }
}

/** Thrown if files could not be read for a lack: their content is unknown, not invalid. */
export class UnreadError extends NodensError {
  readonly lack: Lack;
  readonly errno: string;

  constructor(path: string, lack: Lack, cause: unknown) {
    const errno = errnoOf(cause);
    super('NODENS_UNREAD', `${path} cannot be read: this node lacks ${lack} (${errno})`, { cause });
    this.lack = lack;
    this.errno = errno;
  }
}
