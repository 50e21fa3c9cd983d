/**
 * The names of one message as a tree of suffixes, each distinct one once: a node is a label plus the node of the rest
 * of the name. Names with the same node have the same bytes; names that differ only in letter case have different
 * nodes.
 */
import { HEADER_BYTES } from '../header.ts';
import { lowerByte, MAX_NAME_BYTES } from '../name.ts';
import type { NameReader } from './names.ts';

const MAX_MESSAGE_BYTES = 65_536;
/** A label takes two bytes at least. */
const MAX_NODES = MAX_MESSAGE_BYTES / 2;
const BUCKETS = 8_192;
/** Maximum suffixes compared with a new one. Labels chosen to collide are stored twice, which costs bytes, not time. */
const MAX_PROBES = 16;
const POINTER = 0xc0;
const NONE = -1;

/** The node of the root name. */
export const ROOT = 0;

const text = Buffer.alloc(MAX_NAME_BYTES);

/**
 * One instance for all messages. A node is created when it is first needed; each label of a message is looked up once.
 */
export class Suffixes {
  readonly #names: NameReader;
  /** By node: the rest of the name, the label's offset, and the next node in the bucket. */
  readonly parent = new Uint16Array(MAX_NODES);
  readonly label = new Uint16Array(MAX_NODES);
  readonly #next = new Uint16Array(MAX_NODES);
  /** Offset at which a writer has put a node's name; 0: not written yet. */
  readonly place = new Uint16Array(MAX_NODES);
  #count = ROOT + 1;
  /** First node of each bucket, and the node at each offset of the message; the upper bits are the message's number. */
  readonly #buckets = new Uint32Array(BUCKETS);
  readonly #nodes = new Uint32Array(MAX_MESSAGE_BYTES);
  readonly #path = new Uint16Array(MAX_NAME_BYTES);
  #message = 0;
  #wire: Uint8Array = new Uint8Array(0);
  /** The last node returned: the next owner is often the same. */
  #last = ROOT;
  #question = ROOT;
  #serial = 0;

  constructor(names: NameReader) {
    this.#names = names;
  }

  /** The node of the name in the question. */
  get question(): number {
    if (this.#serial !== this.#names.serial) this.#start();
    return this.#question;
  }

  /** The node of the name at `offset`, which the reader has read. */
  of(offset: number): number {
    if (this.#serial !== this.#names.serial) this.#start();
    const first = this.#names.first(offset);
    const known = this.#nodes[first] as number;
    if (known >>> 16 === this.#message) return known & 0xffff;
    if (this.#isSame(first, this.#last)) return this.#remember(first, this.#last);
    if (this.#isSame(first, this.#question)) return this.#remember(first, this.#question);
    this.#last = this.#descend(first);
    return this.#last;
  }

  /** Whether the names at two offsets have the same bytes; usually one is a pointer to the other. */
  areSame(a: number, b: number): boolean {
    return a === b || this.of(a) === this.of(b);
  }

  /** The name of `node` in lower case, as a string of one character per byte. */
  lowerText(node: number): string {
    const wire = this.#wire;
    let length = 0;
    for (let rest = node; rest !== ROOT; rest = this.parent[rest] as number) {
      const at = this.label[rest] as number;
      const end = at + (wire[at] as number);
      for (let i = at; i <= end; i++) text[length++] = lowerByte(wire[i] as number);
    }
    text[length++] = 0;
    return text.latin1Slice(0, length);
  }

  /** Begins with the message that the reader has read. */
  #start(): void {
    this.#serial = this.#names.serial;
    this.#wire = this.#names.wire;
    this.#message = (this.#message + 1) & 0xffff;
    if (this.#message === 0) {
      this.#buckets.fill(0);
      this.#nodes.fill(0);
      this.#message = 1;
    }
    this.#count = ROOT + 1;
    this.#last = ROOT;
    this.#question = ROOT;
    this.#question = this.of(HEADER_BYTES);
  }

  /** Whether the labels at `first`, up to the root and without a pointer, are those of `name`. */
  #isSame(first: number, name: number): boolean {
    const wire = this.#wire;
    let at = first;
    for (let node = name; node !== ROOT; node = this.parent[node] as number) {
      if (!this.#sameLabel(at, this.label[node] as number)) return false;
      at += (wire[at] as number) + 1;
    }
    return name !== ROOT && wire[at] === 0;
  }

  /** Descends to a known suffix, and adds nodes on the way back. */
  #descend(first: number): number {
    const wire = this.#wire;
    const path = this.#path;
    let labels = 0;
    let at = first;
    let node = ROOT;
    for (let byte = wire[at] as number; byte !== 0; byte = wire[at] as number) {
      if (byte >= POINTER) {
        at = this.#names.first(at);
        continue;
      }
      const known = this.#nodes[at] as number;
      if (known >>> 16 === this.#message) {
        node = known & 0xffff;
        break;
      }
      path[labels++] = at;
      at += byte + 1;
    }
    while (labels > 0) {
      at = path[--labels] as number;
      node = this.#remember(at, this.#intern(at, node));
    }
    return node;
  }

  #remember(at: number, node: number): number {
    this.#nodes[at] = (this.#message << 16) | node;
    return node;
  }

  #intern(at: number, parent: number): number {
    const bucket = this.#bucket(at, parent);
    const first = this.#buckets[bucket] as number;
    const head = first >>> 16 === this.#message ? first & 0xffff : ROOT;
    const found = this.#find(at, parent, head);
    if (found !== NONE) return found;
    const node = this.#count++;
    this.parent[node] = parent;
    this.label[node] = at;
    this.place[node] = 0;
    this.#next[node] = head;
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

  #find(at: number, parent: number, head: number): number {
    let node = head;
    for (let probes = 0; node !== ROOT && probes < MAX_PROBES; probes++) {
      if (this.parent[node] === parent && this.#sameLabel(at, this.label[node] as number))
        return node;
      node = this.#next[node] as number;
    }
    return NONE;
  }

  #sameLabel(a: number, b: number): boolean {
    const wire = this.#wire;
    const length = wire[a] as number;
    for (let i = 0; i <= length; i++) if (wire[a + i] !== wire[b + i]) return false;
    return true;
  }
}
