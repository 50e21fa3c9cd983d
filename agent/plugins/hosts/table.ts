/** What hosts files say, by name and by address (hosts(5)); the answers are made when first asked for and kept. */
import { addressBytes, familyOf } from '../../base/address.ts';
import type { NewRecord } from '../../dns/build.ts';
import { FLAG } from '../../dns/header.ts';
import { CLASS, RCODE, TYPE } from '../../dns/iana.ts';
import { isSubdomain, lowerName, nameFromText, octetKey } from '../../dns/name.ts';
import { type Answer, madeAnswer } from '../../query/answer.ts';
import type { Query } from '../../query/query.ts';

export interface TableOptions {
  readonly ttlSeconds: number;
  /** Zones, lower-case wire form; names outside them are left out. */
  readonly zones: readonly Uint8Array[];
  /** Whether addresses answer PTR questions with their names. */
  readonly reverse: boolean;
}

/** What the records of one owner may take, octets, so that every answer fits a message. */
const MAX_RECORDS_BYTES = 60_000;
/** Octets of a record whose owner is a pointer, RDATA aside. */
const RECORD_FIXED_BYTES = 12;

/** RDATA of one owner by type (A and AAAA, or PTR). No duplicates (RFC 2181 §5). */
class Entry {
  /** By type, then by the octets of the RDATA; in the order added. */
  readonly #rdata = new Map<number, Map<string, Uint8Array>>();
  readonly #answers = new Map<number, Answer>();
  #bytes = 0;

  has(type: number, rdata: Uint8Array): boolean {
    return this.#rdata.get(type)?.has(octetKey(rdata)) ?? false;
  }

  /** Returns whether there was room for it. */
  add(type: number, rdata: Uint8Array): boolean {
    this.#bytes += RECORD_FIXED_BYTES + rdata.length;
    if (this.#bytes > MAX_RECORDS_BYTES) return false;
    const ofType = this.#rdata.get(type) ?? new Map<string, Uint8Array>();
    this.#rdata.set(type, ofType);
    ofType.set(octetKey(rdata), rdata);
    return true;
  }

  /** The answer kept for `query`'s type: the entry's name must be the one asked. */
  answer(query: Query, ttlSeconds: number): Answer {
    const kept = this.#answers.get(query.type);
    if (kept !== undefined) return kept;
    const made = this.make(query, ttlSeconds);
    if (query.type === TYPE.A || query.type === TYPE.AAAA || query.type === TYPE.PTR) {
      this.#answers.set(query.type, made);
    }
    return made;
  }

  /** A fresh answer, empty where the entry has nothing of the type: NODATA without SOA, since hosts has none. */
  make({ name, type }: Query, ttlSeconds: number): Answer {
    const ofType = [...(this.#rdata.get(type)?.values() ?? [])];
    const answer = ofType.map((rdata): NewRecord => ({ type, ttlSeconds, rdata }));
    const response = { rcode: RCODE.NOERROR, flags: FLAG.AA, answer };
    return madeAnswer({ name, type, class: CLASS.IN }, response, 'hosts');
  }
}

const ANY_LABEL = '\u0001*';
/** The first 96 bits of `::ffff:0:0/96` (RFC 4291 §2.5.5.2). */
const MAPPED = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

export class HostsTable {
  readonly #options: TableOptions;
  readonly #byName = new Map<string, Entry>();
  readonly #byAddress = new Map<string, Entry>();
  /** Addresses of names plus names of addresses, as the peer counts. */
  entries = 0;
  /** Words that are neither an address nor a name, or one too many for a message: left out. */
  skipped = 0;

  constructor(text: string, options: TableOptions) {
    this.#options = options;
    for (const line of text.split('\n')) this.#addLine(line);
  }

  /** The answer to a question in class IN of any type but PTR; undefined where the name is unknown. */
  find(query: Query): Answer | undefined {
    const { ttlSeconds } = this.#options;
    const key = octetKey(query.name);
    const exact = this.#byName.get(key);
    if (exact !== undefined) return exact.answer(query, ttlSeconds);
    if (query.head.labelCount === 0) return undefined;
    const parent = key.slice(query.head.labelOffsets[1]);
    return this.#byName.get(ANY_LABEL + parent)?.make(query, ttlSeconds);
  }

  /** The answer to a PTR question; undefined where the name is not that of an address here. */
  findReverse(query: Query): Answer | undefined {
    const found = this.#byAddress.get(octetKey(query.name));
    return found?.answer(query, this.#options.ttlSeconds);
  }

  #addLine(line: string): void {
    const [address, ...names] = line.replace(/#.*/s, '').split(/\s+/).filter(Boolean);
    if (address === undefined) return;
    if (familyOf(address) === undefined) {
      this.skipped++;
      return;
    }
    const octets = unmapped(addressBytes(address));
    for (const name of names) this.#addName(name, octets);
  }

  #addName(text: string, address: Uint8Array): void {
    let name: Uint8Array;
    try {
      name = lowerName(nameFromText(text));
    } catch {
      this.skipped++;
      return;
    }
    if (!this.#options.zones.some((zone) => isSubdomain(name, zone))) return;
    const key = octetKey(name);
    const type = address.length === 4 ? TYPE.A : TYPE.AAAA;
    this.#put(this.#byName, key, type, address);
    if (this.#options.reverse && !key.startsWith(ANY_LABEL)) {
      this.#put(this.#byAddress, octetKey(reverseName(address)), TYPE.PTR, name);
    }
  }

  #put(map: Map<string, Entry>, key: string, type: number, rdata: Uint8Array): void {
    const entry = map.get(key) ?? new Entry();
    map.set(key, entry);
    if (entry.has(type, rdata)) return;
    if (entry.add(type, rdata)) this.entries++;
    else this.skipped++;
  }
}

/** A v4-mapped v6 address (`::ffff:10.0.0.1`) is meant as v4, as in the peer. */
function unmapped(address: Uint8Array): Uint8Array {
  const isMapped = address.length === 16 && MAPPED.every((octet, i) => address[i] === octet);
  return isMapped ? address.slice(MAPPED.length) : address;
}

/** `4.3.2.1.in-addr.arpa` or the nibbles under `ip6.arpa` (RFC 1035 §3.5, RFC 3596 §2.5). */
function reverseName(address: Uint8Array): Uint8Array {
  if (address.length === 4) return nameFromText(`${address.toReversed().join('.')}.in-addr.arpa`);
  const nibbles = Buffer.from(address).toString('hex').split('').reverse().join('.');
  return nameFromText(`${nibbles}.ip6.arpa`);
}
