/** Keys of server blocks, `[scheme://]zone[:port]`, and zones: names, or networks that mean their reverse zones. */
import { type Cidr, familyOf, parseCidr } from '../../base/address.ts';
import { ConfigError, messageOf, type Place } from '../../base/errors.ts';
import { suggestion } from '../../base/text/nearest.ts';
import { lowerName, nameFromText, nameToText } from '../../dns/name.ts';
import type { BlockKey, Scheme } from './types.ts';

/** Default ports of the schemes; `-dns.port` replaces only that of `dns`. */
const SCHEME_PORTS: Readonly<Record<Scheme, number>> = {
  dns: 53,
  tls: 853,
  quic: 853,
  grpc: 443,
  https: 443,
  https3: 443,
};
const SCHEMES = Object.keys(SCHEME_PORTS) as Scheme[];

/** The keys of one word: several for a network whose prefix does not end on a label boundary. */
export function expandKey(text: string, place: Place, defaultPort: number): BlockKey[] {
  refuseLong(text, place);
  const { scheme, rest } = splitScheme(text, place);
  const { zone, port } = splitPort(rest, place);
  const schemePort = scheme === 'dns' ? defaultPort : SCHEME_PORTS[scheme];
  return expandZone(zone, place).map((name) => ({
    scheme,
    zone: name,
    port: port ?? schemePort,
    place,
  }));
}

/** Canonical text of a key: equal for keys that mean the same scheme, zone and port. */
export function formatKey(key: BlockKey): string {
  return `${key.scheme}://${key.zone}:${key.port}`;
}

/**
 * Zones of `text`, in lower case with a trailing dot: the name itself, or the reverse zones of a network. Throws
 * ConfigError if it is neither a domain name (RFC 1035 §2.3.4 limits) nor a network.
 */
export function expandZone(text: string, place: Place): string[] {
  refuseLong(text, place);
  if (text.includes(','))
    throw new ConfigError(place, `"${text}": put a blank after the comma to list several zones`);
  const network = parseNetwork(text, place);
  if (network !== undefined) return reverseZones(network);
  if (familyOf(text) === 6)
    throw new ConfigError(place, `"${text}" is an address; for its reverse zone: ${text}/128`);
  if (text.includes(':'))
    throw new ConfigError(place, `"${text}": a port number must follow the last colon`);
  try {
    return [nameToText(lowerName(nameFromText(text)))];
  } catch (error) {
    throw new ConfigError(place, `not a domain name: ${messageOf(error)}`, { cause: error });
  }
}

/** 255 bytes, each written as an escape, with scheme and port. */
const MAX_KEY_CHARS = 1_100;

function refuseLong(text: string, place: Place): void {
  if (text.length > MAX_KEY_CHARS)
    throw new ConfigError(place, `"${text.slice(0, 64)}…" is too long for a domain name`);
}

function splitScheme(text: string, place: Place): { scheme: Scheme; rest: string } {
  const match = /^([a-z][a-z0-9+-]*):\/\//i.exec(text);
  if (match === null) return { scheme: 'dns', rest: text };
  const scheme = SCHEMES.find((name) => name === match[1]);
  if (scheme === undefined)
    throw new ConfigError(
      place,
      `unknown scheme "${match[1]}://": ${suggestion(match[1] as string, SCHEMES)}`,
    );
  return { scheme, rest: text.slice(match[0].length) };
}

/** Port 0 is allowed: the kernel then chooses one. */
function splitPort(text: string, place: Place): { zone: string; port: number | undefined } {
  const colon = text.lastIndexOf(':');
  if (colon === -1 || familyOf(text) === 6) return { zone: text, port: undefined };
  const digits = text.slice(colon + 1);
  if (digits === '') throw new ConfigError(place, `"${text}": a port is missing after the colon`);
  if (!/^\d+$/.test(digits)) return { zone: text, port: undefined };
  const port = Number(digits);
  if (port > 65_535)
    throw new ConfigError(place, `"${text}": port ${digits} is out of range; use 1 to 65535`);
  return { zone: text.slice(0, colon), port };
}

/** A name may contain a slash (RFC 2317 §4), so only text that starts like an address is parsed as a network. */
function parseNetwork(text: string, place: Place): Cidr | undefined {
  const match = /^([\d.]+|[\da-f.:]*:[\da-f.:]*)\/(\d+)$/i.exec(text);
  if (match === null) return undefined;
  const cidr = parseCidr(text);
  if (cidr === undefined)
    throw new ConfigError(place, `"${text}" is not a network like 10.0.0.0/8 or fd00::/8`);
  return cidr;
}

/**
 * Reverse zones that together cover a network (RFC 1035 §3.5, RFC 3596 §2.5): if the prefix ends inside a label (byte
 * or nibble), one zone for each possible value of the label.
 */
export function reverseZones(cidr: Cidr): string[] {
  const unitBits = cidr.family === 4 ? 8 : 4;
  const suffix = cidr.family === 4 ? 'in-addr.arpa.' : 'ip6.arpa.';
  const labels = Math.ceil(cidr.prefix / unitBits);
  if (labels === 0) return [suffix];
  const units = Array.from({ length: labels }, (_, i) => unitAt(cidr, i));
  const freeBits = labels * unitBits - cidr.prefix;
  const lowest = ((units.at(-1) as number) >> freeBits) << freeBits;
  const radix = cidr.family === 4 ? 10 : 16;
  const parents = units.slice(0, -1).reverse();
  return Array.from({ length: 2 ** freeBits }, (_, i) =>
    [lowest + i, ...parents]
      .map((unit) => `${unit.toString(radix)}.`)
      .join('')
      .concat(suffix),
  );
}

function unitAt(cidr: Cidr, index: number): number {
  if (cidr.family === 4) return cidr.bytes[index] as number;
  const byte = cidr.bytes[index >> 1] as number;
  return index % 2 === 0 ? byte >> 4 : byte & 0xf;
}
