/** Fields of a single type: geographic locations, lists of networks, gateways. */
import { addressBytes, familyOf, parseCidr } from '../../base/address.ts';
import { putU32 } from '../header.ts';
import { nameFromText } from '../name.ts';
import {
  base64Bytes,
  base64OrNothing,
  type Field,
  hexBytes,
  name,
  nextWord,
  put16,
  u8,
  unsigned,
  type Words,
} from './fields.ts';

/** `1:192.0.2.0/24` and `!2:2001:db8::/32` (RFC 3123 §4, §5). */
export const prefixes: Field = (words) =>
  Buffer.concat(words.splice(0).map(({ raw }) => prefix(raw)));

function prefix(item: string): Uint8Array {
  const [, not = '', family = '', text = ''] = /^(!?)([12]):([\da-f.:]+\/\d+)$/i.exec(item) ?? [];
  const cidr = parseCidr(text);
  if (cidr === undefined || cidr.family !== (family === '1' ? 4 : 6))
    throw new RangeError(`"${item}" is no address prefix like 1:192.0.2.0/24`);
  const length = cidr.bytes.findLastIndex((byte) => byte !== 0) + 1;
  const head = [0, Number(family), cidr.prefix, (not === '' ? 0 : 0x80) | length];
  return Buffer.concat([Uint8Array.from(head), cidr.bytes.subarray(0, length)]);
}

const GATEWAY = { none: 0, v4: 1, v6: 2, name: 3 } as const;

function gateway(type: number, word: string): Uint8Array {
  if (type === GATEWAY.none && word === '.') return new Uint8Array();
  if (type === GATEWAY.v4 && familyOf(word) === 4) return addressBytes(word);
  if (type === GATEWAY.v6 && familyOf(word) === 6) return addressBytes(word);
  if (type === GATEWAY.name) return nameFromText(word);
  throw new RangeError(`"${word}" is no gateway of type ${type}`);
}

/** PRECEDENCE TYPE ALGORITHM GATEWAY [KEY] (RFC 4025 §3). */
export const ipsecKey: Field = (words) => {
  const [precedence, type, algorithm] = [u8(words), u8(words), u8(words)];
  const to = gateway(type[0] as number, nextWord(words).raw);
  return Buffer.concat([precedence, type, algorithm, to, base64OrNothing(words)]);
};

/** PRECEDENCE D TYPE RELAY (RFC 8777 §4.3). */
export const amtRelay: Field = (words) => {
  const [precedence, discovery, type] = [u8(words), u8(words), u8(words)];
  const [d = 0, kind = 0] = [discovery[0], type[0]];
  if (d > 1 || kind > GATEWAY.name) throw new RangeError('D is 0 or 1, the type at most 3');
  const relay = gateway(kind, nextWord(words).raw);
  return Buffer.concat([precedence, Uint8Array.of((d << 7) | kind), relay]);
};

/** ALGORITHM HIT KEY [SERVERS…] (RFC 8005 §5, §6). */
export const hostIdentity: Field = (words) => {
  const algorithm = u8(words);
  const hit = hexBytes(nextWord(words).raw);
  const key = base64Bytes(nextWord(words).raw);
  const servers = words.splice(0).map((word) => name([word]));
  const hitLength = unsigned(String(hit.length), 1);
  return Buffer.concat([hitLength, algorithm, put16(key.length), hit, key, ...servers]);
};

/** Degrees, minutes and seconds up to a letter, in thousandths of a second of arc. */
function arc(words: Words, positive: string, negative: string, maxDegrees: number): number {
  const parts: number[] = [];
  for (;;) {
    const { raw } = nextWord(words);
    const letter = raw.toUpperCase();
    if (letter === positive || letter === negative) {
      const [degrees = Number.NaN, minutes = 0, secs = 0] = parts;
      const ms = Math.round(((degrees * 60 + minutes) * 60 + secs) * 1_000);
      if (!(ms <= maxDegrees * 3_600_000) || minutes >= 60 || secs >= 60)
        throw new RangeError(`no place on earth: ${parts.join(' ')} ${letter}`);
      return letter === positive ? ms : -ms;
    }
    const isSeconds = parts.length === 2;
    if (parts.length === 3 || !(isSeconds ? /^\d{1,2}(\.\d{1,3})?$/ : /^\d{1,3}$/).test(raw))
      throw new RangeError(`"${raw}" is no part of a place on earth`);
    parts.push(Number(raw));
  }
}

const METRES = /^(-?\d{1,8}(?:\.\d{1,2})?)m?$/i;

function centimetres(word: string): number {
  const metres = METRES.exec(word)?.[1];
  if (metres === undefined) throw new RangeError(`"${word}" is no length in metres`);
  return Math.round(Number(metres) * 100);
}

/** A digit and a power of ten, in centimetres (RFC 1876 §2). */
function power(word: string): number {
  const total = centimetres(word);
  if (total < 0 || total > 9_000_000_000) throw new RangeError(`"${word}" is too long`);
  let exponent = 0;
  while (total / 10 ** exponent >= 10) exponent++;
  return (Math.floor(total / 10 ** exponent) << 4) | exponent;
}

const EQUATOR = 2 ** 31;
const BASE_ALTITUDE_CM = 10_000_000;

/** `d1 [m1 [s1]] N|S d2 [m2 [s2]] E|W alt [size [hp [vp]]]` (RFC 1876 §3). */
export const location: Field = (words) => {
  const latitude = arc(words, 'N', 'S', 90);
  const longitude = arc(words, 'E', 'W', 180);
  const altitude = centimetres(nextWord(words).raw) + BASE_ALTITUDE_CM;
  if (altitude < 0 || altitude > 0xffffffff)
    throw new RangeError('no altitude that can be written');
  const [size = '1m', horizontal = '10000m', vertical = '10m'] = words
    .splice(0, 3)
    .map(({ raw }) => raw);
  const bytes = new Uint8Array(16);
  bytes.set([0, power(size), power(horizontal), power(vertical)]);
  putU32(bytes, 4, EQUATOR + latitude);
  putU32(bytes, 8, EQUATOR + longitude);
  putU32(bytes, 12, altitude);
  return bytes;
};
