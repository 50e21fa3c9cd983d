/** Search lists: what a client appends to a short name, in which order (resolv.conf(5)). */
import type { SearchPath } from '../../base/clients/pod-sources.ts';
import { nameFromText, nameToText } from '../../dns/name.ts';

/** A client's way through a short name. */
export interface SearchList {
  /**
   * What is appended, in order, lower-case wire form. The root, which means the name as it is, is among them, at the end
   * unless the list names it. The first is never the root.
   */
  readonly elements: readonly Uint8Array[];
  /** A name with at least this many dots is asked as it is at first, so its expansions are not the client's way. */
  readonly ndots: number;
  /** Of the pods that have the list; undefined for one of a file. */
  readonly namespace?: string | undefined;
}

const ROOT = Uint8Array.of(0);

/**
 * The list of these domains (presentation format; a trailing dot is optional). Undefined where no name is expanded, and
 * where a domain is no name: what clients make of it differs.
 */
export function searchList(
  domains: readonly string[],
  ndots: number,
  namespace?: string,
): SearchList | undefined {
  const elements: Uint8Array[] = [];
  for (const domain of domains) {
    try {
      elements.push(nameFromText(domain.toLowerCase()));
    } catch {
      return undefined;
    }
  }
  const isRoot = (name: Uint8Array): boolean => name.length === 1;
  if (elements.length === 0 || isRoot(elements[0] as Uint8Array)) return undefined;
  if (!elements.some(isRoot)) elements.push(ROOT);
  return { elements, ndots, namespace };
}

/** The list as an operator reads it. */
export function searchPath({ elements, ndots }: SearchList): SearchPath {
  return { domains: elements.filter(({ length }) => length > 1).map(nameToText), ndots };
}

/** Length in bytes of the labels in front of the list's first element, undefined for a name that is not below it. */
export function baseBytes(name: Uint8Array, { elements }: SearchList): number | undefined {
  const first = elements[0] as Uint8Array;
  const bytes = name.length - first.length;
  if (bytes <= 0 || !endsWith(name, first)) return undefined;
  let at = 0;
  while (at < bytes) at += 1 + (name[at] as number);
  return at === bytes ? bytes : undefined;
}

/** Dots of the first `bytes` of a wire name, as libc counts them before it appends a domain. */
export function dotsIn(name: Uint8Array, bytes: number): number {
  let labels = 0;
  for (let at = 0; at < bytes; at += 1 + (name[at] as number)) labels++;
  return labels - 1;
}

/** Whether the first `length` bytes of `name` end with those of `tail`; where a label begins is not checked. */
export function endsWith(name: Uint8Array, tail: Uint8Array, length = name.length): boolean {
  let at = length - tail.length;
  if (at < 0) return false;
  for (let i = 0; i < tail.length; i++, at++) if (name[at] !== tail[i]) return false;
  return true;
}

/** The first `bytes` of `name` with `element` after them; undefined if that is no name any more (RFC 1035 §2.3.4). */
export function expanded(
  name: Uint8Array,
  bytes: number,
  element: Uint8Array,
): Uint8Array | undefined {
  const length = bytes + element.length;
  if (length > 255) return undefined;
  const joined = new Uint8Array(length);
  joined.set(name.subarray(0, bytes));
  joined.set(element, bytes);
  return joined;
}
