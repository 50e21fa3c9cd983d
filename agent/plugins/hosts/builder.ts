/** Builds a table from the words of hosts files, in steps short enough to run between two packets. */
import { isSubdomain, MAX_NAME_BYTES } from '../../dns/name.ts';
import type { Room } from './arena.ts';
import { hashOf, type OffsetIndex } from './offset-index.ts';
import { isWildcard, MAX_RECORDS_BYTES, RECORD_FIXED_BYTES } from './records.ts';
import { Scanner, type Words } from './scanner.ts';
import { HostsTable } from './table.ts';
import { writeAddress, writeName } from './words.ts';

/** Which content of a file a table has. */
export interface TableOptions {
  /** Zones, lower-case wire form; other names are left out. */
  readonly zones: readonly Uint8Array[];
  /** Whether addresses answer PTR questions with their names. */
  readonly reverse: boolean;
}

/** Records are usually a little smaller than the text. */
const ARENA_PER_TEXT = 1.1;
/** How much must be read before proportions are extrapolated. */
const SAMPLE_BYTES = 2 ** 16;
const HASTY_GROWTH = 4;

/** Builds one table: `add` for each chunk, then `end`. Their steps must all be run, in order. */
export class TableBuilder implements Words {
  readonly table: HostsTable;
  readonly #room: Room;
  readonly #options: TableOptions;
  readonly #takesAll: boolean;
  readonly #scanner = new Scanner(this);
  readonly #sizeBytes: number;
  #isInline = false;
  readonly #name = new Uint8Array(MAX_NAME_BYTES + 1);
  readonly #address = new Uint8Array(16);
  readonly #candidate = new Uint8Array(16);
  #addressLength = 0;
  /** The last group, if it has the current address, else 0. */
  #group = 0;
  /** Whether PTR questions find the group. */
  #isGroupFound = false;
  /** Bytes of PTR records of the current address. */
  #ptrBytes = 0;

  /** For a text of about `sizeBytes`. */
  constructor(options: TableOptions, room: Room, sizeBytes: number) {
    this.#options = options;
    this.#room = room;
    this.#sizeBytes = sizeBytes;
    this.#takesAll = options.zones.some((zone) => zone.length === 1);
    this.table = new HostsTable(room);
  }

  /** Adds a chunk of the file. Any step may throw NoRoomError. */
  *add(chunk: Uint8Array): Generator<void> {
    this.#room.progress = (this.#scanner.readBytes + chunk.length) / Math.max(1, this.#sizeBytes);
    yield* this.#scanner.scan(chunk);
  }

  /** Ends the file and adds the inline lines. */
  *end(inline: string): Generator<void> {
    yield* this.#scanner.endLine();
    this.#isInline = true;
    yield* this.#scanner.scan(Buffer.from(inline));
    yield* this.#scanner.endLine();
  }

  // ── words ─────────────────────────────────────────────────────────────────────────────────────────────────────

  address(word: Uint8Array, length: number): boolean {
    const found = writeAddress(word, length, this.#candidate);
    if (found === 0) {
      this.nonsense();
      return false;
    }
    if (found === this.#addressLength && this.#isSameAddress()) return true;
    this.#address.set(this.#candidate);
    this.#addressLength = found;
    this.#group = 0;
    return true;
  }

  name(word: Uint8Array, length: number): void {
    const found = writeName(word, length, this.#name);
    if (found === 0) this.nonsense();
    else if (this.#isInZones(found)) this.#addName(found);
  }

  nonsense(): void {
    const { leftOut } = this.table;
    leftOut.skipped++;
    if (leftOut.firstLine === 0 && !this.#isInline) leftOut.firstLine = this.#scanner.line;
  }

  isPending(): boolean {
    const { names, addresses } = this.table;
    return names.isFull() || addresses.isFull();
  }

  *catchUp(): Generator<void> {
    const { names, addresses } = this.table;
    if (names.isFull()) yield* names.grow(this.#expected(names));
    if (addresses.isFull()) yield* addresses.grow(this.#expected(addresses));
  }

  // ── records ───────────────────────────────────────────────────────────────────────────────────────────────────

  #addName(length: number): void {
    const { names, records } = this.table;
    const name = this.#name;
    const hash = hashOf(name, 0, length);
    const before = names.find(name, length, hash);
    const bytes = before === 0 ? 0 : this.#bytesOf(before);
    if (bytes < 0) return;
    if (this.#group === 0 || !records.canFollow(this.#group)) this.#beginGroup();
    const fits = bytes + RECORD_FIXED_BYTES + this.#addressLength <= MAX_RECORDS_BYTES;
    const added = records.addName(name, length, this.#group, fits ? before : 0);
    if (fits) this.table.entries++;
    else this.table.leftOut.skipped++;
    if (fits && before === 0) names.add(added, hash);
    else if (fits) names.replace(before, added, hash);
    if (isWildcard(name, 0)) this.table.hasWildcards = true;
    else if (this.#options.reverse) this.#addPtr(length);
  }

  /** Bytes of a name's records so far; -1 if the current address is among them. */
  #bytesOf(found: number): number {
    const { records } = this.table;
    let bytes = 0;
    for (let at = found; at !== 0; at = records.nameBefore(at)) {
      const group = records.groupOf(at);
      if (group === this.#group) return -1;
      if (records.isAddress(group, this.#address, this.#addressLength)) return -1;
      bytes += RECORD_FIXED_BYTES + records.addressLength(group);
    }
    return bytes;
  }

  #beginGroup(): void {
    const { addresses, records } = this.table;
    const [bytes, length] = [this.#address, this.#addressLength];
    const known = this.#options.reverse
      ? addresses.find(bytes, length, hashOf(bytes, 0, length))
      : 0;
    this.#ptrBytes = known === 0 ? 0 : records.ptrBytes(known);
    const isFull = this.#ptrBytes > MAX_RECORDS_BYTES;
    const before = isFull ? 0 : known;
    const { readBytes } = this.#scanner;
    const restBytes = Math.max(this.#sizeBytes - readBytes, readBytes / 8);
    this.#group = records.addGroup(bytes, length, before, restBytes * ARENA_PER_TEXT);
    if (before !== 0) {
      addresses.replace(before, this.#group, hashOf(bytes, 0, length));
      records.setPtrBytes(this.#group, this.#ptrBytes);
    }
    this.#isGroupFound = known !== 0;
  }

  #addPtr(length: number): void {
    const { addresses, records } = this.table;
    const bytes = this.#address;
    if (!this.#isGroupFound) addresses.add(this.#group, hashOf(bytes, 0, this.#addressLength));
    this.#isGroupFound = true;
    this.#ptrBytes += RECORD_FIXED_BYTES + length;
    if (this.#ptrBytes <= MAX_RECORDS_BYTES) this.table.entries++;
    else this.table.leftOut.surplusNames++;
    records.setPtrBytes(this.#group, this.#ptrBytes);
  }

  /** Expected number of keys in an index after the whole text, extrapolated. */
  #expected(index: OffsetIndex): number {
    const readBytes = Math.max(1, this.#scanner.readBytes);
    const expected = Math.ceil((index.count + 1) * Math.max(1, this.#sizeBytes / readBytes));
    return readBytes < SAMPLE_BYTES ? Math.min(expected, index.count * HASTY_GROWTH) : expected;
  }

  #isSameAddress(): boolean {
    for (let i = 0; i < this.#addressLength; i++)
      if (this.#address[i] !== this.#candidate[i]) return false;
    return true;
  }

  #isInZones(length: number): boolean {
    if (this.#takesAll) return true;
    const name = this.#name.subarray(0, length);
    return this.#options.zones.some((zone) => isSubdomain(name, zone));
  }
}
