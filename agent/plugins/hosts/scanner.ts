/**
 * Words of a hosts file (hosts(5)), octet by octet: chunks and words may end anywhere, and lines may be of any length. Text
 * is octets; only a word with octets over 127 is looked at as UTF-8.
 */

/** Takes what a scanner finds. */
export interface Words {
  /** The first word of a line; returns whether names may follow. */
  address(word: Uint8Array, length: number): boolean;
  name(word: Uint8Array, length: number): void;
  /** A word that is too long or not UTF-8. */
  nonsense(): void;
  /** Whether there is work to be done before the next word. */
  isPending(): boolean;
  /** Does it. */
  catchUp(): Generator<void>;
}

const NEWLINE = 0x0a;
const HASH = 0x23;
const SPACE = 0x20;
/** A name of 255 octets with every octet as `\DDD` has fewer. */
const MAX_WORD_BYTES = 1_024;
/** Octets between two steps of the work; 64 words are about as many. */
const STEP_BYTES = 2_048;

const NO_STEPS: readonly never[] = [];
const LINE_END = Uint8Array.of(NEWLINE);

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
/** What the decoder has for octets that are not UTF-8. */
const NOT_UTF8 = '\ufffd';
const encoder = new TextEncoder();

function isSpace(octet: number): boolean {
  return octet === SPACE || (octet >= 0x09 && octet <= 0x0d);
}

export class Scanner {
  readonly #words: Words;
  readonly #word = new Uint8Array(MAX_WORD_BYTES);
  #length = 0;
  /** All octets of the word, one upon the other: tells whether any is over 127. */
  #bits = 0;
  #isAddressNext = true;
  /** The rest of the line is a comment, or makes no sense. */
  #isSkipping = false;
  line = 1;
  /** Of all chunks, up to the last step. */
  readBytes = 0;

  constructor(words: Words) {
    this.#words = words;
  }

  /** Reads `chunk` in steps. Throws what `words` throw. */
  *scan(chunk: Uint8Array): Generator<void> {
    const startBytes = this.readBytes;
    for (let i = 0; i < chunk.length; i++) {
      const octet = chunk[i] as number;
      if (i % STEP_BYTES === 0) {
        this.readBytes = startBytes + i;
        yield;
      }
      if (octet === NEWLINE) {
        if (this.#length > 0) yield* this.#endWord();
        this.#isAddressNext = true;
        this.#isSkipping = false;
        this.line++;
      } else if (this.#isSkipping) continue;
      else if (octet !== HASH && !isSpace(octet)) this.#put(octet);
      else {
        if (this.#length > 0) yield* this.#endWord();
        if (octet === HASH) this.#isSkipping = true;
      }
    }
    this.readBytes = startBytes + chunk.length;
  }

  /** Ends the line, whether or not there was one. */
  endLine(): Generator<void> {
    return this.scan(LINE_END);
  }

  #put(octet: number): void {
    if (this.#length < MAX_WORD_BYTES) this.#word[this.#length] = octet;
    this.#length++;
    this.#bits |= octet;
  }

  /** Steps to be taken; none but for work that is pending and for words of more than ASCII. */
  #endWord(): Iterable<void> {
    const [length, bits] = [this.#length, this.#bits];
    this.#length = 0;
    this.#bits = 0;
    if (length > MAX_WORD_BYTES) this.#nonsense();
    else if (bits > 0x7f) return this.#wide(this.#word.subarray(0, length));
    else if (this.#words.isPending()) return this.#takeSlowly(this.#word, length);
    else this.#take(this.#word, length);
    return NO_STEPS;
  }

  *#takeSlowly(word: Uint8Array, length: number): Generator<void> {
    if (this.#words.isPending()) yield* this.#words.catchUp();
    this.#take(word, length);
  }

  #take(word: Uint8Array, length: number): void {
    if (this.#isSkipping) return;
    if (!this.#isAddressNext) this.#words.name(word, length);
    else if (this.#words.address(word, length)) this.#isAddressNext = false;
    else this.#isSkipping = true;
  }

  #nonsense(): void {
    if (this.#isSkipping) return;
    this.#words.nonsense();
    if (this.#isAddressNext) this.#isSkipping = true;
  }

  /** Spaces of Unicode, a byte order mark among them, end words too. */
  *#wide(word: Uint8Array): Generator<void> {
    for (const part of utf8.decode(word).split(/\s+/).filter(Boolean)) {
      const octets = encoder.encode(part);
      if (part.includes(NOT_UTF8)) this.#nonsense();
      else yield* this.#takeSlowly(octets, octets.length);
    }
  }
}
