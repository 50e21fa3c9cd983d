/** What ended an attempt without a reply. */
import type { Phase } from '../../base/errors.ts';
import { lackOf } from '../../base/lack.ts';

/** What went wrong: where in the life of an attempt, and the system's name for it. */
export interface Failure {
  readonly phase: Phase;
  readonly errno: string;
  /** The reply cannot be read, or the connection was closed before any query with EDNS had been answered on it. */
  readonly mayBeEdns?: boolean;
}

/** Whether an attempt failed for a lack of this node's, which says nothing of the upstream. */
export function isLack({ errno }: Failure): boolean {
  return lackOf(errno) !== undefined;
}
