/** Facts that could not be read. */
import type { Finding, Seen } from './facts.ts';

const AS_ROOT = 'run it as root on the node, or in the init container (kubectl exec -c init)';

/** Narrows to what was read. */
export function isSeen<T>(thing: Seen<T>): thing is { readonly value: T } {
  return 'value' in thing;
}

/** The finding for what could not be read. */
export function unseen(
  id: string,
  { unseen: reason, remedy = AS_ROOT }: { readonly unseen: string; readonly remedy?: string },
): Finding {
  return {
    id,
    verdict: 'unseen',
    message: `not seen: ${reason}`,
    remedy,
  };
}
