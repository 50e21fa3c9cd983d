/** Addresses that the agent serves for a block: the zone's servers, where no DNS Service has one of them. */
import { addressBytes, familyOf, isWildcard } from '../../base/address.ts';
import type { BlockContext } from '../../query/services/block.ts';
import { textOf } from './names.ts';

/** The addresses, one character per byte, without loopback. Reads the node's where a listener has every address. */
export function ownAddresses(block: BlockContext): () => readonly string[] {
  const hosts = block.servers.map(({ label }) => hostOfLabel(label));
  return () => {
    const texts = hosts.flatMap((host) =>
      host === '' || isWildcard(host) ? (block.nodeAddresses?.() ?? []) : [host],
    );
    const known = new Set<string>();
    for (const text of texts) {
      if (familyOf(text) === undefined) continue;
      const bytes = addressBytes(text);
      if (!isLoopback(bytes)) known.add(textOf(bytes));
    }
    return [...known];
  };
}

/** `169.254.20.10` of `dns://169.254.20.10:53`; '' for every address. */
function hostOfLabel(label: string): string {
  return label.slice(label.indexOf('//') + 2, label.lastIndexOf(':')).replace(/^\[|\]$/g, '');
}

/** 127.0.0.0/8 (RFC 1122 §3.2.1.3) or ::1 (RFC 4291 §2.5.3). */
function isLoopback(bytes: Uint8Array): boolean {
  if (bytes.length === 4) return bytes[0] === 127;
  return bytes.every((byte, i) => byte === (i === 15 ? 1 : 0));
}
