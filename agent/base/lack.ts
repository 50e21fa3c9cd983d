/**
 * What this machine itself may lack: descriptors, memory, local ports. Such a failure says nothing of the server that was to
 * be asked, nor of the file that was to be read.
 */
import { errnoOf, LocalError, NodensError } from './errors.ts';

/** Label `what` of `nodens_local_lack_total`. */
export const LACKS = ['descriptors', 'memory', 'ports'] as const;
export type Lack = (typeof LACKS)[number];

const BY_ERRNO: Readonly<Partial<Record<string, Lack>>> = {
  EMFILE: 'descriptors',
  ENFILE: 'descriptors',
  ENOMEM: 'memory',
  ENOBUFS: 'memory',
  // What `connect` says where every local port to that server is taken: for TCP, after a bind, and for UDP.
  EADDRNOTAVAIL: 'ports',
  EADDRINUSE: 'ports',
  EAGAIN: 'ports',
};

/** What a failed attempt to reach a server lacked on this side; undefined where it lacked nothing. */
export function lackOf(errno: string): Lack | undefined {
  return BY_ERRNO[errno];
}

/** As `lackOf`, where something was to be opened or bound: a port that is taken is the configuration's fault then. */
export function lackOfOpening(errno: string): Exclude<Lack, 'ports'> | undefined {
  const lack = BY_ERRNO[errno];
  return lack === 'ports' ? undefined : lack;
}

/** Counts a lack and tells it. `during` completes "the agent could not …". */
export type TellLack = (lack: Lack, errno: string, during: string) => void;

/** How a query ends that could not be asked: SERVFAIL with an extended error that blames this node. Never stored. */
export class LocalLackError extends LocalError {
  constructor(lack: Lack, errno: string) {
    super(`no upstream was asked: this node lacks ${lack} (${errno})`);
  }
}

/** Thrown where files could not be looked at for a lack: what is in them is not known, so it is not wrong. */
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
