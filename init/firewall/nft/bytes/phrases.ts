/**
 * Translates the phrases of nft's language that rules of nodens use into expressions, in the order in which nft itself would,
 * so that `nft list` shows the same rule. A phrase that is not one of these is for the program nft.
 */
import { addressBytes, familyOf } from '../../../../agent/base/address.ts';
import * as make from './expressions.ts';
import { UnknownPhraseError, Words } from './words.ts';

/** Sets of the transaction: those that a rule names, and those that it brings along. */
export interface Sets {
  /** The number of a named set. Throws `UnknownPhraseError` where it is not of the table. */
  idOf(name: string): number;
  /** Makes a set of these addresses for one rule, and returns its number. */
  add(addresses: readonly string[]): number;
}

/** The name that the kernel completes, for sets without one of their own. */
export const ANONYMOUS = '__set%d';

const PROTOCOLS: Readonly<Record<string, number>> = { tcp: 6, udp: 17 };
const FAMILIES: Readonly<Record<string, number>> = { ip: 2, ip6: 10 };
const TCP_FLAGS: Readonly<Record<string, number>> = { fin: 1, syn: 2, rst: 4, ack: 16 };
const TCP_FLAGS_PLACE = { header: make.HEADER.transport, offset: 13, bytes: 1 };
const LINK_NAME_BYTES = 16;
const UNTRACKED = 0x40;
const REPLY = 1;
const ORIGINAL = 0;

/** The expressions of a rule, `words` being its text without the comment. */
export function expressionsOf(text: string, sets: Sets): Uint8Array[] {
  return new Phrases(new Words(text), sets).all();
}

class Phrases {
  readonly #words: Words;
  readonly #sets: Sets;
  readonly #made: Uint8Array[] = [];
  /** What the rule has compared already: nft does that once. */
  readonly #known = new Set<string>();

  constructor(words: Words, sets: Sets) {
    this.#words = words;
    this.#sets = sets;
  }

  all(): Uint8Array[] {
    while (!this.#words.isEnd) this.#one();
    return this.#made;
  }

  #one(): void {
    const word = this.#words.next();
    if (word === 'udp' || word === 'tcp') this.#transport(word);
    else if (word === 'ip' || word === 'ip6') this.#address(word);
    else if (word === 'iifname' || word === 'oifname') this.#link(word);
    else if (word === 'meta') this.#meta();
    else if (word === 'ct') this.#conntrack();
    else if (word === 'socket') this.#socket();
    else if (word === 'update' || word === 'delete') this.#changeSet(word);
    else if (word === 'counter') this.#made.push(make.counter());
    else if (word === 'notrack') this.#made.push(make.notrack());
    else if (word === 'accept') this.#made.push(make.accept());
    else if (word === 'masquerade') this.#made.push(make.masquerade());
    else throw this.#words.unknown();
  }

  /** `udp dport 53`, `tcp sport 20253-20260`, `tcp flags & (fin | rst) != 0`. */
  #transport(protocol: string): void {
    this.#assure(protocol, make.META.l4proto, PROTOCOLS[protocol] ?? 0);
    if (this.#words.first === 'flags') this.#flags();
    else this.#port();
  }

  #port(): void {
    this.#made.push(make.load(this.#portPlace()));
    const [first = '', last] = this.#words.next().split('-');
    const { equal, atLeast, atMost } = make.COMPARE;
    this.#compare(last === undefined ? equal : atLeast, make.port(Number(first)));
    if (last !== undefined) this.#compare(atMost, make.port(Number(last)));
  }

  #portPlace(): make.Place {
    const side = this.#words.next();
    if (side !== 'sport' && side !== 'dport') throw this.#words.unknown();
    return { header: make.HEADER.transport, offset: side === 'sport' ? 0 : 2, bytes: 2 };
  }

  #flags(): void {
    this.#words.expect('flags', '&');
    const mask = this.#flagBits();
    const operation = this.#operation();
    const word = this.#words.next();
    const wanted = word === '0' ? 0 : TCP_FLAGS[word];
    if (wanted === undefined) throw this.#words.unknown();
    this.#made.push(
      make.load(TCP_FLAGS_PLACE),
      make.bitwise(Uint8Array.of(mask), Uint8Array.of(0)),
    );
    this.#compare(operation, Uint8Array.of(wanted));
  }

  #flagBits(): number {
    const names =
      this.#words.first === '(' ? this.#words.between('(', ')', '|') : [this.#words.next()];
    return names.reduce((bits, name) => bits | (TCP_FLAGS[name] ?? 0), 0);
  }

  /** `ip daddr { a, b }`, `ip saddr a`, `ip daddr set a`, `ip saddr . tcp sport . ip daddr @flows4`. */
  #address(ip: string): void {
    const place = this.#addressPlace(ip);
    if (this.#words.first === 'set') {
      this.#words.next();
      this.#made.push(make.immediate(addressBytes(this.#words.next())), make.write(place));
      return;
    }
    this.#requireFamily(ip);
    this.#made.push(make.load(place));
    if (this.#words.first === '.') {
      this.#restOfKey(place.bytes);
      const set = this.#setName();
      this.#made.push(make.lookup(set, this.#sets.idOf(set)));
    } else this.#amongAddresses();
  }

  #requireFamily(ip: string): void {
    this.#assure(ip, make.META.nfproto, FAMILIES[ip] ?? 0);
  }

  #addressPlace(ip: string): make.Place {
    const side = this.#words.next();
    if (side !== 'saddr' && side !== 'daddr') throw new UnknownPhraseError([ip, side]);
    const [bytes, first] = ip === 'ip' ? [4, 12] : [16, 8];
    return { header: make.HEADER.network, offset: side === 'saddr' ? first : first + bytes, bytes };
  }

  /** One address, or several in braces; one in braces is one address. */
  #amongAddresses(): void {
    const addresses =
      this.#words.first === '{' ? this.#words.between('{', '}', ',') : [this.#words.next()];
    const [only = '', ...others] = addresses;
    if (addresses.some((address) => familyOf(address) === undefined))
      throw new UnknownPhraseError(addresses);
    if (others.length === 0) this.#compare(make.COMPARE.equal, addressBytes(only));
    else this.#made.push(make.lookup(ANONYMOUS, this.#sets.add(addresses)));
  }

  /** What follows the first part of a key, ` . tcp sport . ip daddr`, behind it in the registers. */
  #restOfKey(firstBytes: number): void {
    let offset = firstBytes;
    while (this.#words.first === '.') {
      this.#words.next();
      const word = this.#words.next();
      const place = word in PROTOCOLS ? this.#portPlace() : this.#addressPlace(word);
      this.#made.push(make.load(place, make.registerAt(offset)));
      offset += Math.max(place.bytes, 4);
    }
  }

  /** `update @flows4 { ip saddr . tcp sport . ip daddr timeout 70s }`, `delete @flows4 { … }`. */
  #changeSet(operation: 'update' | 'delete'): void {
    const set = this.#setName();
    this.#words.expect('{');
    const place = this.#addressPlace(this.#words.next());
    this.#made.push(make.load(place));
    this.#restOfKey(place.bytes);
    let timeoutMs: number | undefined;
    if (this.#words.first === 'timeout') {
      this.#words.next();
      timeoutMs = millisecondsOf(this.#words.next());
    }
    this.#words.expect('}');
    this.#made.push(make.dynset(make.DYNSET[operation], set, this.#sets.idOf(set), timeoutMs));
  }

  #setName(): string {
    const word = this.#words.next();
    if (!word.startsWith('@')) throw this.#words.unknown();
    return word.slice(1);
  }

  /** `iifname "lo"`, `oifname != "lo"`. */
  #link(key: 'iifname' | 'oifname'): void {
    const operation = this.#words.first === '!=' ? this.#operation() : make.COMPARE.equal;
    const bytes = Buffer.alloc(LINK_NAME_BYTES);
    bytes.write(this.#words.next().replaceAll('"', ''));
    this.#made.push(make.metaLoad(make.META[key]));
    this.#compare(operation, bytes);
  }

  /** `meta mark & 0x1 == 0x1`, `meta mark set meta mark | 0x1`. */
  #meta(): void {
    this.#words.expect('mark');
    this.#mark(make.metaLoad(make.META.mark), make.metaSet(make.META.mark), 'meta');
  }

  #mark(loads: Uint8Array, sets: Uint8Array, what: 'meta' | 'ct'): void {
    this.#made.push(loads);
    if (this.#words.first === 'set') {
      this.#words.expect('set', what, 'mark');
      const operation = this.#words.next();
      const bits = Number(this.#words.next());
      const [mask, xor] = operation === '|' ? [~bits, bits] : [bits, 0];
      this.#made.push(make.bitwise(make.native(mask, 4), make.native(xor, 4)), sets);
      return;
    }
    this.#words.expect('&');
    const mask = Number(this.#words.next());
    const operation = this.#operation();
    this.#made.push(make.bitwise(make.native(mask, 4), make.native(0, 4)));
    this.#compare(operation, make.native(Number(this.#words.next()), 4));
  }

  #conntrack(): void {
    const what = this.#words.next();
    if (what === 'mark') this.#mark(make.ctLoad(make.CT.mark), make.ctSet(make.CT.mark), 'ct');
    else if (what === 'state') {
      this.#words.expect('!=', 'untracked');
      this.#made.push(make.ctLoad(make.CT.state));
      this.#compare(make.COMPARE.different, make.native(UNTRACKED, 4));
    } else if (what === 'direction') {
      this.#words.expect('reply');
      this.#made.push(make.ctLoad(make.CT.direction));
      this.#compare(make.COMPARE.equal, Uint8Array.of(REPLY));
    } else if (what === 'original') this.#original();
    else throw this.#words.unknown();
  }

  /** `ct original zone set 20253`, `ct original ip daddr { a, b }`. */
  #original(): void {
    const what = this.#words.next();
    if (what === 'zone') {
      this.#words.expect('set');
      const zone = make.native(Number(this.#words.next()), 2);
      this.#made.push(make.immediate(zone), make.ctSet(make.CT.zone, ORIGINAL));
      return;
    }
    this.#words.expect('daddr');
    const key = make.CT.destination[what === 'ip6' ? 6 : 4];
    this.#made.push(make.ctLoad(key, ORIGINAL));
    this.#amongAddresses();
  }

  /** `socket wildcard 0`. */
  #socket(): void {
    const key = this.#words.next();
    if (key !== 'wildcard' && key !== 'transparent') throw new UnknownPhraseError([key]);
    this.#made.push(make.socket(make.SOCKET[key]));
    this.#compare(make.COMPARE.equal, Uint8Array.of(Number(this.#words.next())));
  }

  /** A comparison that phrases rely on: protocol and family. */
  #assure(name: string, key: number, wanted: number): void {
    if (this.#known.has(name)) return;
    this.#known.add(name);
    this.#made.push(make.metaLoad(key));
    this.#compare(make.COMPARE.equal, Uint8Array.of(wanted));
  }

  #compare(operation: number, bytes: Uint8Array): void {
    this.#made.push(make.compare(operation, bytes));
  }

  #operation(): number {
    const word = this.#words.next();
    if (word === '==') return make.COMPARE.equal;
    if (word === '!=') return make.COMPARE.different;
    throw this.#words.unknown();
  }
}

/** `70s`, `5m`. */
export function millisecondsOf(text: string): number {
  const [, count, unit] = /^(\d+)([sm])$/.exec(text) ?? [];
  if (count === undefined) throw new UnknownPhraseError([text]);
  return Number(count) * (unit === 'm' ? 60_000 : 1_000);
}
