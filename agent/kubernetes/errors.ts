/** How a request to the API server fails. */
import { NodensError } from '../base/errors.ts';

/** Thrown when the API server did not answer as expected; the watch that asked tries again. */
export class ApiError extends NodensError {
  /** HTTP status, or the code of the Status object in an ERROR event; 0 if there was no answer. */
  readonly status: number;
  /** How long the API server asks to wait (Retry-After), milliseconds. */
  readonly retryAfterMs: number;

  constructor(message: string, status = 0, retryAfterMs = 0) {
    super('NODENS_API', message);
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }

  /** Whether the resource version, or the place in a list, is no longer known: only a new list helps. */
  get isGone(): boolean {
    return this.status === 410;
  }
}
