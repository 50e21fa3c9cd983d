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

/** Whether an attempt failed for lack of a local resource, which says nothing about the upstream. */
export function isLack({ errno }: Failure): boolean {
  return lackOf(errno) !== undefined;
}
