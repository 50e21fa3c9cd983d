/**
 * Encodes the good answers of a cache, for a start during an outage. The writer works in slices, so that a big cache
 * does not delay queries; the reader reads the whole file before the agent serves. Times are relative to the time of
 * writing, because the clock of entries restarts with each process.
 *
 * File: MAGIC, version (u32), Unix milliseconds (f64), records, CRC-32 of all before it (u32). A record begins with its
 * kind (u8): a block (identity text and fingerprints, each u32 length and UTF-8), an entry of the block before it, or
 * the end (number of entries, u32). Numbers are big-endian.
 */
import { crc32 } from 'node:zlib';
import type { Clock } from '../../base/clock.ts';
import type { ExtendedError } from '../../base/errors.ts';
import type { Entry } from '../store/entry.ts';

/** First bytes of every snapshot. */
export const MAGIC = Buffer.from('nodens snapshot\n', 'latin1');
/** Version of the format; the reader refuses any other. */
export const VERSION = 1;
/** First byte of a record. */
export const KIND = { end: 0, block: 1, entry: 2 } as const;
/** Means that there is no extended error. */
export const NO_EXTENDED = 0xffff;

/** Maximum time of one slice, and how often it is checked. */
const SLICE_MS = 2;
const ENTRIES_PER_LOOK = 16;
const SLICE_BYTES = 64 * 1024;
/** Room for one more record: a message, a key and an extended error's text. */
const RECORD_BYTES = 160 * 1024;
const MAX_TEXT_BYTES = 1_024;

/** A block and its entries to write. */
export interface SnapshotBlock {
  /** Identifies the block, in this process and the next. */
  readonly identity: string;
  /** Fingerprints of the directives below the cache, by configuration version. */
  readonly configVersions: readonly string[];
  readonly entries: Iterable<Entry>;
}

/** An entry as read. Times are relative to the time of writing. */
export interface SnapshotRecord {
  /** The key after its block's number. */
  readonly key: string;
  readonly configVersion: number;
  readonly rcode: number;
  /** Undefined if the TTLs do not age. */
  readonly ageMs: number | undefined;
  readonly expiresInMs: number;
  readonly dropAfterInMs: number;
  readonly extended: ExtendedError | undefined;
  /** A view of the file. */
  readonly wire: Buffer;
}

/** `bytes` is the size of the whole file. */
export interface SnapshotTotals {
  readonly entries: number;
  readonly bytes: number;
}

/**
 * Yields the file in chunks that take a moment each; stops adding entries at `maxBytes`. A chunk is valid until the
 * next one is requested, so a cache of any size needs one buffer.
 */
export function* encodeSnapshot(
  blocks: Iterable<SnapshotBlock>,
  clock: Clock,
  maxBytes: number,
): Generator<Buffer, SnapshotTotals> {
  const out = new Slices();
  out.header(clock.wallMs());
  let entries = 0;
  for (const { identity, configVersions, entries: all } of blocks) {
    if (!out.block(identity, configVersions)) continue;
    if (out.isFull) yield out.take();
    let sinceMs = clock.nowMs();
    for (const entry of all) {
      if (out.totalBytes >= maxBytes) break;
      out.entry(entry, clock.nowMs());
      entries++;
      const isLate = entries % ENTRIES_PER_LOOK === 0 && clock.nowMs() - sinceMs >= SLICE_MS;
      if (!isLate && !out.isFull) continue;
      yield out.take();
      sinceMs = clock.nowMs();
    }
  }
  yield out.end(entries);
  return { entries, bytes: out.totalBytes };
}

class Slices {
  totalBytes = 0;
  readonly #buffer = Buffer.allocUnsafeSlow(SLICE_BYTES + RECORD_BYTES);
  #at = 0;
  #crc = 0;

  get isFull(): boolean {
    return this.#at >= SLICE_BYTES;
  }

  header(wallMs: number): void {
    this.#bytes(MAGIC);
    this.#u32(VERSION);
    this.#f64(wallMs);
  }

  /** Returns false and writes nothing if the block's texts do not fit into a slice. */
  block(identity: string, configVersions: readonly string[]): boolean {
    const texts = [identity, ...configVersions].map((text) => Buffer.from(text, 'utf8'));
    const bytes = texts.reduce((sum, text) => sum + text.length + 4, 0);
    if (bytes > RECORD_BYTES / 2) return false;
    this.#u8(KIND.block);
    this.#u32(texts.length);
    for (const text of texts) this.#text(text);
    return true;
  }

  entry({ key, configVersion, answer, expiresMs, dropAfterMs }: Entry, nowMs: number): void {
    const { wire, rcode, bornMs, extended } = answer;
    this.#u8(KIND.entry);
    this.#text(Buffer.from(key.slice(BLOCK_CHARS), 'latin1'));
    this.#u32(configVersion);
    this.#u16(rcode);
    this.#f64(bornMs === undefined ? Number.NaN : nowMs - bornMs);
    this.#f64(expiresMs - nowMs);
    this.#f64(dropAfterMs - nowMs);
    this.#u16(extended?.code ?? NO_EXTENDED);
    this.#text(Buffer.from(extended?.text ?? '', 'utf8').subarray(0, MAX_TEXT_BYTES));
    this.#text(wire);
  }

  end(entries: number): Buffer {
    this.#u8(KIND.end);
    this.#u32(entries);
    this.#crc = crc32(this.#buffer.subarray(0, this.#at), this.#crc);
    const sum = this.#crc;
    this.#u32(sum);
    return this.#cut();
  }

  take(): Buffer {
    this.#crc = crc32(this.#buffer.subarray(0, this.#at), this.#crc);
    return this.#cut();
  }

  #cut(): Buffer {
    const slice = this.#buffer.subarray(0, this.#at);
    this.#at = 0;
    return slice;
  }

  #text(bytes: Buffer): void {
    this.#u32(bytes.length);
    this.#bytes(bytes);
  }

  #bytes(bytes: Buffer): void {
    bytes.copy(this.#buffer, this.#at);
    this.#moved(bytes.length);
  }

  #u8(value: number): void {
    this.#buffer.writeUInt8(value, this.#at);
    this.#moved(1);
  }

  #u16(value: number): void {
    this.#buffer.writeUInt16BE(value, this.#at);
    this.#moved(2);
  }

  #u32(value: number): void {
    this.#buffer.writeUInt32BE(value, this.#at);
    this.#moved(4);
  }

  #f64(value: number): void {
    this.#buffer.writeDoubleBE(value, this.#at);
    this.#moved(8);
  }

  #moved(bytes: number): void {
    this.#at += bytes;
    this.totalBytes += bytes;
  }
}

/** Characters of a key that identify its block: a number valid only in this process. */
export const BLOCK_CHARS = 2;
