/** Facts that could not be read. */
import type { Finding, Seen } from './facts.ts';

export function isSeen<T>(thing: Seen<T>): thing is { readonly value: T } {
  return 'value' in thing;
}

/** The finding for what could not be read. */
export function unseen(id: string, { unseen: reason }: { readonly unseen: string }): Finding {
  return {
    id,
    verdict: 'unseen',
    says: `not seen: ${reason}`,
    remedy: 'run it as root on the node, or in the init container (kubectl exec -c init)',
  };
}
