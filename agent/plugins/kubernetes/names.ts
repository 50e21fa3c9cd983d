/** Names of records in wire form. */
import { MAX_NAME_BYTES } from '../../dns/name.ts';

/** `labels` in front of `parent`, wire form; undefined if the name would be too long (RFC 1035 §2.3.4). */
export function joined(labels: readonly string[], parent: Uint8Array): Uint8Array | undefined {
  let bytes = parent.length;
  for (const label of labels) bytes += label.length + 1;
  if (bytes > MAX_NAME_BYTES) return undefined;
  const name = new Uint8Array(bytes);
  let at = 0;
  for (const label of labels) {
    name[at++] = label.length;
    for (let i = 0; i < label.length; i++) name[at++] = label.charCodeAt(i);
  }
  name.set(parent, at);
  return name;
}

/** The bytes of a string with one byte in each character. */
export function bytesIn(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** `bytes` as a string with one byte in each character. */
export function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).latin1Slice();
}
