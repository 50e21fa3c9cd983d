/**
 * Reads the names of a message one after the other. A pointer must point to a name that was read before (RFC 1035
 * §4.1.4), so its target is already known: a name costs only its own bytes, wherever its pointers point.
 */
import { HEADER_BYTES } from '../header.ts';
import { MAX_LABEL_BYTES, MAX_NAME_BYTES } from '../name.ts';

const MAX_MESSAGE_BYTES = 65_536;
const POINTER = 0xc0;
/** Maximum pointers in one name, as in `expandName`. */
const MAX_POINTERS = 127;
const NO_POINTER = -1;
/** Names with their own labels that are compared with each other; if there are more, compression is tried. */
const MAX_COMPARED = 32;

/** One instance for all messages: its state belongs to the message of the last `start`. */
export class NameReader {
  /** By offset: the number of the message, and the offset of the first label of the name there. */
  readonly #firsts = new Uint32Array(MAX_MESSAGE_BYTES);
  /** By offset: bytes of the name there, pointers followed, and the number of pointers. */
  readonly #bytes = new Uint8Array(MAX_MESSAGE_BYTES);
  readonly #pointers = new Uint8Array(MAX_MESSAGE_BYTES);
  #message = 0;
  /** Number of the current message: entries with another number are obsolete. */
  serial = 0;
  /**
   * For names with their own labels: the last of those labels, and the offset of the rest of the name (0: the root).
   */
  readonly #lastLabels = new Uint16Array(MAX_COMPARED);
  readonly #rests = new Uint16Array(MAX_COMPARED);
  #compared = 0;
  #hasQuestion = false;
  wire: Uint8Array = new Uint8Array(0);
  /** Whether a compressible name may be longer than necessary. */
  canShrink = false;

  /** Begins a new message, whose question is well-formed. */
  start(wire: Uint8Array): void {
    this.wire = wire;
    this.serial++;
    this.#message = this.serial & 0xffff;
    if (this.#message === 0) {
      this.#firsts.fill(0);
      this.#message = ++this.serial & 0xffff;
    }
    this.#compared = 0;
    this.canShrink = false;
    this.#hasQuestion = false;
  }

  /** Reads the name at `offset`, which must end at or before `end`; false if it is malformed. */
  read(offset: number, end: number, isCompressible: boolean): boolean {
    if (!this.#hasQuestion) this.#readQuestion();
    return this.#read(offset, end, isCompressible);
  }

  /** In many messages only whole owners point to the question: then its labels are not needed. */
  #readQuestion(): void {
    this.#hasQuestion = true;
    this.#read(HEADER_BYTES, this.wire.length, false);
  }

  #read(offset: number, end: number, isCompressible: boolean): boolean {
    const { wire } = this;
    let at = offset;
    let lastLabel = 0;
    while (at < end) {
      const byte = wire[at] as number;
      if (byte === 0) return this.#note(offset, at, lastLabel, NO_POINTER, isCompressible);
      if (byte >= POINTER) {
        if (at + 2 > end) return false;
        const target = ((byte & 0x3f) << 8) | (wire[at + 1] as number);
        return this.#note(offset, at, lastLabel, target, isCompressible);
      }
      lastLabel = at;
      at += byte + 1;
      if (byte > MAX_LABEL_BYTES || at - offset >= MAX_NAME_BYTES) return false;
    }
    return false;
  }

  /**
   * Offset of the first label, or the root, of the name at `offset`; 0 if no name that was read has a label there.
   * Names with the same first label are the same.
   */
  first(offset: number): number {
    if (!this.#hasQuestion) this.#readQuestion();
    const known = this.#firsts[offset] as number;
    return known >>> 16 === this.#message ? known & 0xffff : 0;
  }

  /** Whether the name at `offset` has the same bytes as the question's. */
  isQuestion(offset: number): boolean {
    const { wire } = this;
    let at = this.first(offset);
    let own = HEADER_BYTES;
    while (at !== own) {
      if (!this.#sameLabel(at, own)) return false;
      const length = wire[own] as number;
      if (length === 0) return true;
      own += length + 1;
      at = this.first(at + length + 1);
    }
    return true;
  }

  /** Records the name whose labels are in `[offset, end)`, followed by the root or a pointer to `target`. */
  #note(
    offset: number,
    end: number,
    lastLabel: number,
    target: number,
    isCompressible: boolean,
  ): boolean {
    const isPointer = target !== NO_POINTER;
    const first = isPointer ? this.first(target) : end;
    const pointers = isPointer ? (this.#pointers[target] as number) + 1 : 0;
    const rest = isPointer ? (this.#bytes[target] as number) : 1;
    const bytes = end - offset + rest;
    if (first === 0 || pointers > MAX_POINTERS || bytes > MAX_NAME_BYTES) return false;
    this.#remember(end, first, rest, pointers);
    for (let at = offset; at < end; at += (this.wire[at] as number) + 1)
      this.#remember(at, at, bytes - (at - offset), pointers);
    if (offset < end && offset !== HEADER_BYTES && !this.canShrink)
      this.#compare(lastLabel, isPointer ? first : 0, isCompressible);
    return true;
  }

  #remember(at: number, first: number, bytes: number, pointers: number): void {
    this.#firsts[at] = (this.#message << 16) | first;
    this.#bytes[at] = bytes;
    this.#pointers[at] = pointers;
  }

  /**
   * Checks whether another name ends in the same label and rest. If so, this one, or a part of it, can be a pointer.
   */
  #compare(lastLabel: number, rest: number, isCompressible: boolean): void {
    const count = this.#compared;
    for (let i = 0; i < count && isCompressible; i++) {
      if (this.#rests[i] !== rest) continue;
      if (!this.#sameLabel(lastLabel, this.#lastLabels[i] as number)) continue;
      this.canShrink = true;
      return;
    }
    if (count === MAX_COMPARED) {
      this.canShrink = isCompressible;
      return;
    }
    this.#lastLabels[count] = lastLabel;
    this.#rests[count] = rest;
    this.#compared++;
  }

  #sameLabel(a: number, b: number): boolean {
    const { wire } = this;
    const length = wire[a] as number;
    for (let i = 0; i <= length; i++) if (wire[a + i] !== wire[b + i]) return false;
    return true;
  }
}
