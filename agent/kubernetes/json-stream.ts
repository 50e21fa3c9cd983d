/**
 * Cuts the API server's JSON into single objects as it arrives, so that neither a list of 20,000 objects nor a watch is
 * ever one text in memory, and each object is parsed in a slice of its own. Only brackets and strings are looked at.
 */
import { ApiError } from './errors.ts';

/** Maximum bytes of one object. The API server stores objects of at most 1.5 MiB (etcd's default). */
export const MAX_OBJECT_BYTES = 4 * 1024 * 1024;
/** Maximum bytes of a list beside its objects. */
const MAX_ENVELOPE_BYTES = 64 * 1024;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const LINE_FEED = 0x0a;

/** Collects a text that may be spread over chunks. */
class Text {
  readonly #maxBytes: number;
  readonly #what: string;
  #parts: Buffer[] = [];
  #bytes = 0;

  constructor(maxBytes: number, what: string) {
    this.#maxBytes = maxBytes;
    this.#what = what;
  }

  get isEmpty(): boolean {
    return this.#bytes === 0;
  }

  /** Throws ApiError if the text becomes too long. */
  add(part: Buffer): void {
    if (part.length === 0) return;
    this.#bytes += part.length;
    if (this.#bytes > this.#maxBytes)
      throw new ApiError(`${this.#what} is longer than ${this.#maxBytes} bytes`);
    this.#parts.push(part);
  }

  /** The text, which begins anew. */
  take(): string {
    const [first = Buffer.alloc(0), ...others] = this.#parts;
    const whole = others.length === 0 ? first : Buffer.concat(this.#parts);
    this.#parts = [];
    this.#bytes = 0;
    return whole.toString('utf8');
  }
}

/** Bytes of a list that are looked at in one step. */
const STEP_BYTES = 4 * 1024;

/** Hands over the JSON texts in a stream of bytes. */
export interface TextReader {
  /**
   * Takes the next bytes, in steps of at most a few texts each, which must all be made. `chunk` may be kept until the last
   * text that begins in it is complete. A step throws ApiError for a text that is too long.
   */
  read(chunk: Buffer): Generator<void, void>;
}

/** Reads a watch: one JSON text in each line. */
export class LineReader implements TextReader {
  readonly #onLine: (text: string) => void;
  readonly #line = new Text(MAX_OBJECT_BYTES, 'an event');

  constructor(onLine: (text: string) => void) {
    this.#onLine = onLine;
  }

  *read(chunk: Buffer): Generator<void, void> {
    let begin = 0;
    if (!this.#line.isEmpty) {
      begin = chunk.indexOf(LINE_FEED) + 1;
      this.#line.add(chunk.subarray(0, begin === 0 ? chunk.length : begin - 1));
      if (begin === 0) return;
      this.#onLine(this.#line.take());
      yield;
    }
    const end = Math.max(begin, chunk.lastIndexOf(LINE_FEED) + 1);
    // One text for all lines: a text for each takes as long as to parse it.
    const lines = chunk.toString('utf8', begin, end);
    let from = 0;
    for (let at = lines.indexOf('\n'); at >= 0; at = lines.indexOf('\n', from)) {
      const line = lines.slice(from, at);
      from = at + 1;
      if (line === '') continue;
      this.#onLine(line);
      yield;
    }
    this.#line.add(chunk.subarray(end));
  }
}

/** Depth of the elements of `items` within the list: the list itself and the array. */
const ITEM_DEPTH = 2;

/** Reads a list (`{"metadata":{…},"items":[…]}`): each element of `items` by itself, and the rest at the end. */
export class ListReader implements TextReader {
  readonly #onItem: (text: string) => void;
  readonly #item = new Text(MAX_OBJECT_BYTES, 'an object');
  readonly #envelope = new Text(MAX_ENVELOPE_BYTES, 'the list without its objects');
  #depth = 0;
  #isInString = false;
  #isEscaped = false;
  #isInItems = false;
  /** Where the text that belongs together begins in the chunk. */
  #start = 0;
  /** The last bytes outside of items, to recognise the key in front of an array. */
  #key = '';

  constructor(onItem: (text: string) => void) {
    this.#onItem = onItem;
  }

  *read(chunk: Buffer): Generator<void, void> {
    for (let at = 0; at < chunk.length; at += STEP_BYTES) {
      this.#push(chunk.subarray(at, at + STEP_BYTES));
      yield;
    }
  }

  #push(chunk: Buffer): void {
    this.#start = 0;
    for (let at = 0; at < chunk.length; at++) {
      if (this.#isInString) at = this.#skipString(chunk, at);
      else this.#look(chunk, at);
    }
    const rest = chunk.subarray(this.#start);
    if (this.#isInItems) this.#item.add(rest);
    else this.#outside(rest);
  }

  /** The list without its objects. Throws ApiError if it is incomplete or no JSON. */
  end(): unknown {
    if (this.#depth !== 0 || this.#envelope.isEmpty)
      throw new ApiError('the list ended before it was complete');
    try {
      return JSON.parse(this.#envelope.take());
    } catch {
      throw new ApiError('the list is not JSON');
    }
  }

  /** Returns the offset of the quote that ends the string, or of the chunk's end. */
  #skipString(chunk: Buffer, from: number): number {
    for (let at = from; at < chunk.length; at++) {
      const byte = chunk[at] as number;
      if (this.#isEscaped) {
        this.#isEscaped = false;
      } else if (byte === BACKSLASH) {
        this.#isEscaped = true;
      } else if (byte === QUOTE) {
        this.#isInString = false;
        return at;
      }
    }
    return chunk.length;
  }

  #look(chunk: Buffer, at: number): void {
    switch (chunk[at] as number) {
      case QUOTE:
        this.#isInString = true;
        break;
      case OPEN_BRACE:
        this.#depth++;
        break;
      case OPEN_BRACKET:
        this.#depth++;
        if (this.#depth === ITEM_DEPTH && this.#isItemsKey(chunk, at)) this.#enter(chunk, at);
        break;
      case CLOSE_BRACE:
      case CLOSE_BRACKET:
        this.#depth--;
        if (this.#isInItems) this.#closed(chunk, at);
        break;
      case COMMA:
        if (this.#isInItems && this.#depth === ITEM_DEPTH) this.#start = at + 1;
        break;
      default:
    }
  }

  #enter(chunk: Buffer, at: number): void {
    this.#envelope.add(chunk.subarray(this.#start, at + 1));
    this.#isInItems = true;
    this.#start = at + 1;
  }

  /** After a closing bracket in items: the end of an object, or of the array. */
  #closed(chunk: Buffer, at: number): void {
    if (this.#depth === ITEM_DEPTH) {
      this.#item.add(chunk.subarray(this.#start, at + 1));
      this.#onItem(this.#item.take().trim());
      this.#start = at + 1;
    } else if (this.#depth < ITEM_DEPTH) {
      this.#isInItems = false;
      this.#item.take();
      this.#start = at;
    }
  }

  #isItemsKey(chunk: Buffer, at: number): boolean {
    const from = Math.max(this.#start, at - KEY_BYTES);
    const before = this.#key + chunk.toString('latin1', from, at);
    return /"items"\s*:\s*$/.test(before);
  }

  #outside(rest: Buffer): void {
    this.#envelope.add(rest);
    this.#key = (this.#key + rest.toString('latin1')).slice(-KEY_BYTES);
  }
}

/** Bytes that a key with its colon and some blanks needs. */
const KEY_BYTES = 32;
