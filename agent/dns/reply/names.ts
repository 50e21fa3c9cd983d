/**
 * The names of one message, each distinct suffix once. Reading a name costs its own bytes and no more, whatever its
 * pointers lead to: they lead to names that were read before (RFC 1035 §4.1.4), so what is there is known already.
 */
import { HEADER_BYTES } from '../header.ts';
import { lowerOctet, MAX_LABEL_BYTES, MAX_NAME_BYTES } from '../name.ts';

const MAX_MESSAGE_BYTES = 65_536;
/** A label takes two bytes at least. */
const MAX_NODES = MAX_MESSAGE_BYTES / 2;
const BUCKETS = 8_192;
/** Suffixes compared with a new one at most. Labels made to collide are kept twice; that costs bytes, not time. */
const MAX_PROBES = 16;
const POINTER = 0xc0;
/** Pointers one name may need, as in `expandName`. */
const MAX_POINTERS = 127;

export const MALFORMED = -1;
/** The node of the root name. */
export const ROOT = 0;

const text = Buffer.alloc(MAX_NAME_BYTES);

/**
 * A node stands for a suffix: a label and the node of what follows it. Names with the same node are byte-identical;
 * equal names may have different nodes where letter case differs. One table serves every message: all work is done
 * before the next `start`.
 */
export class NameTable {
  /** For nodes: what follows the label, where the label is, bytes of the whole name, the next in the bucket. */
  readonly parent = new Uint16Array(MAX_NODES);
  readonly label = new Uint16Array(MAX_NODES);
  readonly #bytes = new Uint8Array(MAX_NODES);
  readonly #next = new Uint16Array(MAX_NODES);
  /** Whether the suffix is written out somewhere behind the question. */
  readonly #isWritten = new Uint8Array(MAX_NODES);
  #count = 0;
  /** First node of each bucket, and the node at each offset of the message: above, the number of the message. */
  readonly #buckets = new Uint32Array(BUCKETS);
  readonly #known = new Uint32Array(MAX_MESSAGE_BYTES);
  readonly #pointers = new Uint8Array(MAX_MESSAGE_BYTES);
  readonly #path = new Uint16Array(MAX_NAME_BYTES);
  #rest = ROOT;
  #message = 0;
  #wire: Uint8Array = new Uint8Array(0);
  #end = 0;
  #hasQuestion = false;
  #question = MALFORMED;
  /** The name that was read last as labels: the next is often the same. */
  #last = ROOT;
  /** Whether some name that may be compressed is longer than it needs to be. */
  canShrink = false;

  /** Nodes there are. */
  get count(): number {
    return this.#count;
  }

  /** Begins a new message, which has a question. */
  start(wire: Uint8Array, end: number): void {
    this.#wire = wire;
    this.#end = end;
    this.#message = (this.#message + 1) & 0xffff;
    if (this.#message === 0) {
      this.#buckets.fill(0);
      this.#known.fill(0);
      this.#message = 1;
    }
    this.#count = ROOT + 1;
    this.#hasQuestion = false;
    this.#last = ROOT;
    this.canShrink = false;
  }

  /** The node of the name in the question, which is read when it is first needed. */
  get question(): number {
    if (this.#hasQuestion) return this.#question;
    this.#hasQuestion = true;
    this.#question = this.#readLabels(HEADER_BYTES, this.#end, false);
    return this.#question;
  }

  /**
   * Reads the name at `offset`, which ends at or before `end`, and returns its node. Names must be read in the order in
   * which they stand in the message. `isCompressible`: where it could be written shorter, `canShrink` becomes true.
   */
  read(offset: number, end: number, isCompressible: boolean): number {
    const question = this.question;
    if (this.#isAgain(offset, end, this.#last, isCompressible)) return this.#last;
    if (question !== this.#last && this.#isAgain(offset, end, question, isCompressible))
      return question;
    return this.#readLabels(offset, end, isCompressible);
  }

  /** Whether the labels at `offset` are those of `name`, to the root; they are remembered as such. */
  #isAgain(offset: number, end: number, name: number, isCompressible: boolean): boolean {
    const wire = this.#wire;
    let at = offset;
    for (let node = name; node > ROOT; node = this.parent[node] as number) {
      if (at >= end || !this.#sameLabel(at, this.label[node] as number)) return false;
      at += (wire[at] as number) + 1;
    }
    if (at === offset || at >= end || wire[at] !== 0) return false;
    at = offset;
    let wasWritten = 0;
    for (let node = name; node > ROOT; node = this.parent[node] as number) {
      wasWritten = this.#isWritten[node] as number;
      this.#isWritten[node] = 1;
      this.#remember(at, node, 0);
      at += (wire[at] as number) + 1;
    }
    this.#remember(at, ROOT, 0);
    if (isCompressible && wasWritten === 1) this.canShrink = true;
    return true;
  }

  #readLabels(offset: number, end: number, isCompressible: boolean): number {
    const path = this.#path;
    let labels = this.#walk(offset, end);
    if (labels === MALFORMED) return MALFORMED;
    let node = this.#rest;
    const pointers = this.#pointers[path[labels] as number] as number;
    if (labels > 0 && isCompressible) this.#compare(path[labels - 1] as number, node);
    while (labels > 0) {
      const at = path[--labels] as number;
      node = this.#intern(at, node);
      if (node === MALFORMED) return MALFORMED;
      if (offset !== HEADER_BYTES) this.#isWritten[node] = 1;
      this.#remember(at, node, pointers);
    }
    if (offset !== HEADER_BYTES) this.#last = node;
    return node;
  }

  /** The node of the name that starts at `offset`; MALFORMED where no name that was read has a label there. */
  at(offset: number): number {
    const known = this.#known[offset] as number;
    return known >>> 16 === this.#message ? known & 0xffff : MALFORMED;
  }

  /** The name of `node` in lower case, as a string of one character per byte. */
  lowerText(node: number): string {
    const wire = this.#wire;
    let length = 0;
    for (let rest = node; rest !== ROOT; rest = this.parent[rest] as number) {
      const at = this.label[rest] as number;
      const end = at + (wire[at] as number);
      for (let i = at; i <= end; i++) text[length++] = lowerOctet(wire[i] as number);
    }
    text[length++] = 0;
    return text.latin1Slice(0, length);
  }

  /**
   * Notes in the path where each label at `offset` begins and, behind them, what ends them: the root or a pointer,
   * whose node is in `#rest` then. The number of labels, or MALFORMED.
   */
  #walk(offset: number, end: number): number {
    const wire = this.#wire;
    let labels = 0;
    let at = offset;
    while (at < end) {
      const byte = wire[at] as number;
      this.#path[labels] = at;
      if (byte === 0) return this.#ends(at, ROOT, 0) ? labels : MALFORMED;
      if (byte >= POINTER) {
        const target = ((byte & 0x3f) << 8) | (wire[at + 1] as number);
        const pointers = (this.#pointers[target] as number) + 1;
        return at + 2 <= end && this.#ends(at, this.at(target), pointers) ? labels : MALFORMED;
      }
      if (byte > MAX_LABEL_BYTES || at - offset >= MAX_NAME_BYTES) return MALFORMED;
      labels++;
      at += byte + 1;
    }
    return MALFORMED;
  }

  #ends(at: number, node: number, pointers: number): boolean {
    if (node === MALFORMED || pointers > MAX_POINTERS) return false;
    this.#rest = node;
    this.#remember(at, node, pointers);
    return true;
  }

  #remember(at: number, node: number, pointers: number): void {
    this.#known[at] = (this.#message << 16) | node;
    this.#pointers[at] = pointers;
  }

  /** Looks whether the last label of a name, at `at`, and what follows it have been written before. */
  #compare(at: number, parent: number): void {
    if (this.canShrink) return;
    const node = this.#find(at, parent, this.#bucket(at, parent));
    if (node !== MALFORMED && this.#isWritten[node] === 1) this.canShrink = true;
  }

  #intern(at: number, parent: number): number {
    const wire = this.#wire;
    const bucket = this.#bucket(at, parent);
    const found = this.#find(at, parent, bucket);
    if (found !== MALFORMED) return found;
    const bytes =
      (parent === ROOT ? 1 : (this.#bytes[parent] as number)) + (wire[at] as number) + 1;
    if (bytes > MAX_NAME_BYTES) return MALFORMED;
    const node = this.#count++;
    this.parent[node] = parent;
    this.label[node] = at;
    this.#bytes[node] = bytes;
    this.#isWritten[node] = 0;
    const first = this.#buckets[bucket] as number;
    this.#next[node] = first >>> 16 === this.#message ? first & 0xffff : ROOT;
    this.#buckets[bucket] = (this.#message << 16) | node;
    return node;
  }

  #bucket(at: number, parent: number): number {
    const wire = this.#wire;
    const end = at + (wire[at] as number);
    let hash = Math.imul(parent + 1, 0x9e3779b1);
    for (let i = at; i <= end; i++) hash = Math.imul(hash ^ (wire[i] as number), 0x01000193);
    return (hash ^ (hash >>> 15)) & (BUCKETS - 1);
  }

  #find(at: number, parent: number, bucket: number): number {
    const first = this.#buckets[bucket] as number;
    if (first >>> 16 !== this.#message) return MALFORMED;
    let node = first & 0xffff;
    for (let probes = 0; node !== ROOT && probes < MAX_PROBES; probes++) {
      if (this.parent[node] === parent && this.#sameLabel(at, this.label[node] as number))
        return node;
      node = this.#next[node] as number;
    }
    return MALFORMED;
  }

  #sameLabel(a: number, b: number): boolean {
    const wire = this.#wire;
    const length = wire[a] as number;
    for (let i = 0; i <= length; i++) if (wire[a + i] !== wire[b + i]) return false;
    return true;
  }
}
