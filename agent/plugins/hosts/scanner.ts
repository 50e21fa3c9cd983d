/**
 * Words of a hosts file (hosts(5)), byte by byte: chunks and words may end anywhere, and lines may have any length.
 * Only a word with bytes above 127 is decoded as UTF-8.
 */

/** Receives the words. */
export interface Words {
  /** The first word of a line; returns whether names may follow. */
  address(word: Uint8Array, length: number): boolean;
  name(word: Uint8Array, length: number): void;
  /** A word that is too long or not UTF-8. */
  nonsense(): void;
  /** Whether work must be done before the next word. */
  isPending(): boolean;
  /** Does that work. */
  catchUp(): Generator<void>;
}

const NEWLINE = 0x0a;
const HASH = 0x23;
const SPACE = 0x20;
/** A name of 255 bytes, every byte written as `\DDD`, is shorter. */
const MAX_WORD_BYTES = 1_024;
/** Bytes between two steps; about 64 words. */
const STEP_BYTES = 2_048;

const LINE_END = Uint8Array.of(NEWLINE);

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
/** The decoder's replacement for invalid UTF-8. */
const NOT_UTF8 = '\ufffd';
const encoder = new TextEncoder();

function isSpace(byte: number): boolean {
  return byte === SPACE || (byte >= 0x09 && byte <= 0x0d);
}

/** Passes the words of one file to `words`. Comments, and lines without a valid address, are skipped. */
export class Scanner {
  readonly #words: Words;
  readonly #word = new Uint8Array(MAX_WORD_BYTES);
  #length = 0;
  /** All bytes of the word combined with OR: shows whether any is above 127. */
  #bits = 0;
  #isAddressNext = true;
  /** The rest of the line is a comment or invalid. */
  #isSkipping = false;
  line = 1;
  /** Bytes read of all chunks, up to the last step. */
  readBytes = 0;

  constructor(words: Words) {
    this.#words = words;
  }

  /** Reads `chunk` in steps. Throws errors of `words`. */
  *scan(chunk: Uint8Array): Generator<void> {
    const startBytes = this.readBytes;
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i] as number;
      if (i % STEP_BYTES === 0) {
        this.readBytes = startBytes + i;
        yield;
      }
      if (byte === NEWLINE) {
        const steps = this.#endWord();
        if (steps !== undefined) yield* steps;
        this.#isAddressNext = true;
        this.#isSkipping = false;
        this.line++;
      } else if (this.#isSkipping) continue;
      else if (byte !== HASH && !isSpace(byte)) this.#put(byte);
      else {
        const steps = this.#endWord();
        if (steps !== undefined) yield* steps;
        if (byte === HASH) this.#isSkipping = true;
      }
    }
    this.readBytes = startBytes + chunk.length;
  }

  /** Ends the current line, if any. */
  endLine(): Generator<void> {
    return this.scan(LINE_END);
  }

  #put(byte: number): void {
    if (this.#length < MAX_WORD_BYTES) this.#word[this.#length] = byte;
    this.#length++;
    this.#bits |= byte;
  }

  /**
   * Ends the current word, if any. Returns steps to run for words with more than ASCII, and for pending work; undefined
   * for all others: a file has hundreds of thousands of words, and each object for one of them would be garbage.
   */
  #endWord(): Generator<void> | undefined {
    const length = this.#length;
    const bits = this.#bits;
    if (length === 0) return undefined;
    this.#length = 0;
    this.#bits = 0;
    if (length > MAX_WORD_BYTES) this.#nonsense();
    else if (bits > 0x7f) return this.#wide(this.#word.subarray(0, length));
    else if (this.#words.isPending()) return this.#takeSlowly(this.#word, length);
    else this.#take(this.#word, length);
    return undefined;
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

  /** Unicode spaces, including a byte order mark, end words as well. */
  *#wide(word: Uint8Array): Generator<void> {
    for (const part of utf8.decode(word).split(/\s+/).filter(Boolean)) {
      const bytes = encoder.encode(part);
      if (part.includes(NOT_UTF8)) this.#nonsense();
      else yield* this.#takeSlowly(bytes, bytes.length);
    }
  }
}
