/**
 * The errors of nodens. `InternalError` is a bug; `UsageError` and `ConfigError` are the operator's mistakes.
 * `NetworkError` and `DnsError` have external causes and no stack trace.
 */

/** Root of every error that nodens throws on purpose. `code` is stable and machine-readable. */
export class NodensError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** Thrown when an internal invariant is broken. */
export class InternalError extends NodensError {
  constructor(message: string, options?: ErrorOptions) {
    super('NODENS_INTERNAL', message, options);
  }
}

/** Thrown for an invalid command line: exit code 2, with the usage line. */
export class UsageError extends NodensError {
  constructor(message: string) {
    super('NODENS_USAGE', message);
  }
}

/** A position in a configuration text; `line` counts from 1. */
export interface Place {
  readonly file: string;
  readonly line: number;
}

/** Thrown for an invalid configuration text. The message is `file:line: reason`. */
export class ConfigError extends NodensError {
  readonly place: Place;
  readonly reason: string;

  constructor(place: Place, reason: string, options?: ErrorOptions) {
    super('NODENS_CONFIG', `${place.file}:${place.line}: ${reason}`, options);
    this.place = place;
    this.reason = reason;
  }
}

/** No stack trace: an outage creates one of these for each query, and the stack would not help. */
class ExpectedError extends NodensError {
  constructor(code: string, message: string, options?: ErrorOptions) {
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(code, message, options);
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/** The phase in which an exchange with an upstream, or a listener, failed. */
export type Phase = 'bind' | 'connect' | 'handshake' | 'write' | 'wait' | 'match';

/** Thrown when the network failed, not the protocol. `errno` is the system's name (ECONNREFUSED, ETIMEDOUT). */
export class NetworkError extends ExpectedError {
  readonly errno: string;
  readonly phase: Phase;

  constructor(phase: Phase, errno: string, message: string, options?: ErrorOptions) {
    super('NODENS_NETWORK', message, options);
    this.phase = phase;
    this.errno = errno;
  }
}

/** An extended DNS error (RFC 8914): info code and optional text. */
export interface ExtendedError {
  readonly code: number;
  readonly text: string;
}

/**
 * Thrown by a plugin when a query ends without an answer. `server/dispatch` turns it into a response with `rcode` and
 * the extended error. Earlier plugins of the chain may turn it into an answer first: `cache` into a stale one,
 * `rewrite` and `dns64` into one of their own.
 */
export class DnsError extends ExpectedError {
  readonly rcode: number;
  readonly extended: ExtendedError | undefined;
  /**
   * Whether the cause is the agent's own lack of resources: it says nothing about the name or an upstream, so it is
   * never stored.
   */
  readonly isLocal: boolean = false;

  constructor(rcode: number, message: string, extended?: ExtendedError, options?: ErrorOptions) {
    super('NODENS_DNS', message, options);
    this.rcode = rcode;
    this.extended = extended;
  }
}

/** Thrown by a plugin to drop the query: the client gets no response, and no plugin may create one. */
export class DropQuery extends ExpectedError {
  constructor(message: string) {
    super('NODENS_DROP', message);
  }
}

const SERVFAIL = 2;
const OTHER_ERROR = 0;

/** Ends a query for the agent's own lack of resources: SERVFAIL with an extended error that says so. */
export class LocalError extends DnsError {
  override readonly isLocal = true;

  constructor(text: string) {
    super(SERVFAIL, text, { code: OTHER_ERROR, text });
  }
}

/** Ends a query to make room, because its client makes the agent use more memory than any other client. */
export class GaveWayError extends LocalError {
  constructor() {
    super('gave way to queries of other clients: this client has the most queries waiting');
  }
}

/** One shared instance: in a flood it ends thousands of queries a second, and a stack would not distinguish them. */
export const GAVE_WAY = new GaveWayError();

/** The system's error name of any thrown value (`ECONNREFUSED`), or `UNKNOWN`. */
export function errnoOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : 'UNKNOWN';
}

/** One line of text for any thrown value. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
