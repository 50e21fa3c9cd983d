/** Content of hosts files by name and by address (hosts(5)): records in an arena, and an index for each direction. */
import { TYPE } from '../../dns/iana.ts';
import { byteKey, MAX_NAME_BYTES } from '../../dns/name.ts';
import { writeReversed } from '../../dns/reverse-name.ts';
import type { Room } from './arena.ts';
import { hashOf, OffsetIndex } from './offset-index.ts';
import { MAX_RECORDS_BYTES, RECORD_FIXED_BYTES, Records } from './records.ts';

/** Words that were left out. */
export interface LeftOut {
  /** Words that are neither an address nor a name, and addresses of a name that do not fit into a message. */
  skipped: number;
  /** Line of the first invalid word, 0 if the file has none. */
  firstLine: number;
  /** Names of an address that do not fit into a message: usually a list of names to block. */
  surplusNames: number;
}

/** `*` in front of a name's parent. */
const ANY_LABEL = Uint8Array.of(1, 0x2a);
const asked = new Uint8Array(MAX_NAME_BYTES + ANY_LABEL.length);
const address = new Uint8Array(16);

/** One table. The number of a name or address is the offset of a record that links to earlier ones. */
export class HostsTable {
  readonly records: Records;
  readonly names: OffsetIndex;
  readonly addresses: OffsetIndex;
  readonly #room: Room;
  /** Addresses of names plus names of addresses, as CoreDNS counts. */
  entries = 0;
  hasWildcards = false;
  readonly leftOut: LeftOut = { skipped: 0, firstLine: 0, surplusNames: 0 };

  constructor(room: Room) {
    this.#room = room;
    this.records = new Records(room);
    this.names = new OffsetIndex(this.records.names, room);
    this.addresses = new OffsetIndex(this.records.addresses, room);
  }

  /** Its size in bytes. */
  get bytes(): number {
    return this.#room.bytes;
  }

  /** Number of a name, lower-case wire form; 0 if it is unknown. */
  findName(name: Uint8Array): number {
    return this.names.find(name, name.length, hashOf(name, 0, name.length));
  }

  /** The same for the name with its first label, `labelBytes` bytes including the length, replaced by `*`. */
  findWildcard(name: Uint8Array, labelBytes: number): number {
    if (!this.hasWildcards) return 0;
    asked.set(ANY_LABEL);
    asked.set(name.subarray(labelBytes), ANY_LABEL.length);
    const length = ANY_LABEL.length + name.length - labelBytes;
    return this.names.find(asked, length, hashOf(asked, 0, length));
  }

  /** Number of the address of a PTR owner; 0 if it is unknown. */
  findReverse(name: Uint8Array): number {
    const length = writeReversed(name, address);
    return length === 0 ? 0 : this.addresses.find(address, length, hashOf(address, 0, length));
  }

  /** Addresses of type A or AAAA of the name with number `found`, in the order of the file. */
  addressesOf(found: number, type: number): Uint8Array[] {
    const length = type === TYPE.A ? 4 : type === TYPE.AAAA ? 16 : 0;
    const bytes: Uint8Array[] = [];
    for (let at = found; at !== 0; at = this.records.nameBefore(at)) {
      const group = this.records.groupOf(at);
      if (this.records.addressLength(group) === length)
        bytes.push(this.records.address(group).slice());
    }
    return bytes.reverse();
  }

  /** Names of the address with number `found`, as many as fit into a message, in the order of the file. */
  namesOf(found: number): Uint8Array[] {
    const groups: number[] = [];
    for (let at = found; at !== 0; at = this.records.groupBefore(at)) groups.push(at);
    const names = new Map<string, Uint8Array>();
    let bytes = 0;
    for (const group of groups.reverse()) {
      this.records.eachName(group, (start, end, segment) => {
        bytes += RECORD_FIXED_BYTES + end - start;
        if (bytes > MAX_RECORDS_BYTES) return;
        const name = segment.slice(start, end);
        names.set(byteKey(name), name);
      });
    }
    return [...names.values()];
  }

  /** Frees its memory in steps. From the first step on the table must not be used. */
  *free(): Generator<void> {
    yield* this.names.free();
    yield* this.addresses.free();
    yield* this.records.free();
    this.#room.release();
  }
}
