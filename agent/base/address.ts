/** IP addresses, endpoints and CIDRs as text and bytes. */
import { isIPv4, isIPv6, SocketAddress } from 'node:net';

/** Version of an IP address. */
export type Family = 4 | 6;

/** An IP address with a port. `address` is canonical text without brackets; v6 may carry a `%zone`. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** 4 or 6 for an IP address in text form (v6 `%zone` allowed), undefined for anything else. */
export function familyOf(text: string): Family | undefined {
  if (isIPv4(text)) return 4;
  return text.includes(':') && isVersion6(text) ? 6 : undefined;
}

/** As Node's `isIPv6`, whose pattern takes 7 ms of every start to compile. Here it sees only what the system takes for one. */
function isVersion6(text: string): boolean {
  try {
    new SocketAddress({ address: text, family: 'ipv6' });
  } catch {
    return false;
  }
  // The system ends at a zero byte, and takes anything for a zone.
  return !/[%\0]/.test(text) || isIPv6(text);
}

/** Whether `address` means every address of a family. */
export function isWildcard(address: string): boolean {
  return address === '0.0.0.0' || address === '::';
}

/** `address:port`, with brackets around a v6 address. */
export function formatEndpoint(endpoint: Endpoint): string {
  const { address, port } = endpoint;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Port number if `text` is digits in 1–65535, else undefined. */
export function parsePort(text: string): number | undefined {
  if (!/^\d{1,5}$/.test(text)) return undefined;
  const port = Number(text);
  return port >= 1 && port <= 65_535 ? port : undefined;
}

/**
 * Endpoint of `1.2.3.4`, `1.2.3.4:53`, `fd00::1`, `[fd00::1]` or `[fd00::1]:53`; undefined for anything else. Without a
 * port, `defaultPort`.
 */
export function parseEndpoint(text: string, defaultPort: number): Endpoint | undefined {
  if (familyOf(text) !== undefined) return { address: text, port: defaultPort };
  const bracketed = /^\[([^\]]+)\](?::(\d+))?$/.exec(text);
  const plain = bracketed ?? /^([\d.]+):(\d+)$/.exec(text);
  if (plain === null) return undefined;
  const address = plain[1] as string;
  const valid = bracketed === null ? isIPv4(address) : familyOf(address) === 6;
  const port = plain[2] === undefined ? defaultPort : parsePort(plain[2]);
  return valid && port !== undefined ? { address, port } : undefined;
}

/** The 4 or 16 bytes of an IP address, network order. Throws RangeError if `text` is not an IP address. */
export function addressBytes(text: string): Uint8Array {
  const family = familyOf(text);
  if (family === undefined) throw new RangeError(`not an IP address: ${text}`);
  if (family === 4) return Uint8Array.from(text.split('.'), Number);
  return ipv6Bytes(text.split('%', 1)[0] as string);
}

/** The 16 bytes of an address that is known to be an IPv6 address, without a zone. */
export function ipv6Bytes(text: string): Uint8Array {
  const [head = '', tail] = text.split('::', 2);
  const front = v6Groups(head);
  const back = tail === undefined ? [] : v6Groups(tail);
  const groups = [...front, ...new Array<number>(8 - front.length - back.length).fill(0), ...back];
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff]));
}

function v6Groups(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
    return [(a << 8) | b, (c << 8) | d];
  });
}

/** Canonical text of 4 or 16 bytes (RFC 5952 for v6; v4-mapped addresses stay v6 text in dotted form). */
export function formatAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from(
    { length: 8 },
    (_, i) => ((bytes[2 * i] as number) << 8) | (bytes[2 * i + 1] as number),
  );
  if (groups.slice(0, 5).every((g) => g === 0) && groups[5] === 0xffff)
    return `::ffff:${bytes.slice(12).join('.')}`;
  const [start, length] = longestZeroRun(groups);
  const hex = groups.map((g) => g.toString(16));
  if (length < 2) return hex.join(':');
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + length).join(':')}`;
}

function longestZeroRun(groups: readonly number[]): [start: number, length: number] {
  let best: [number, number] = [0, 0];
  for (let i = 0; i < groups.length; i++) {
    let end = i;
    while (end < groups.length && groups[end] === 0) end++;
    if (end - i > best[1]) best = [i, end - i];
    i = Math.max(i, end - 1);
  }
  return best;
}

/** A network. `bytes` are 4 or 16 bytes in network order; bits after the first `prefix` bits may be set. */
export interface Cidr {
  readonly bytes: Uint8Array;
  readonly prefix: number;
  readonly family: Family;
}

/** Parses `10.0.0.0/8`, `fd00::/8` or a bare address (a host prefix); undefined for anything else. */
export function parseCidr(text: string): Cidr | undefined {
  const [address = '', prefixText, more] = text.split('/', 3);
  const family = familyOf(address);
  if (family === undefined || more !== undefined) return undefined;
  const widest = family === 4 ? 32 : 128;
  const prefix =
    prefixText === undefined ? widest : /^\d{1,3}$/.test(prefixText) ? Number(prefixText) : -1;
  if (prefix < 0 || prefix > widest) return undefined;
  return { bytes: addressBytes(address), prefix, family };
}

/** Whether `cidr` contains the address with these `bytes`. */
export function cidrContains(cidr: Cidr, bytes: Uint8Array): boolean {
  if (bytes.length !== cidr.bytes.length) return false;
  const whole = cidr.prefix >> 3;
  for (let i = 0; i < whole; i++) if (bytes[i] !== cidr.bytes[i]) return false;
  const rest = cidr.prefix & 7;
  if (rest === 0) return true;
  const mask = (0xff << (8 - rest)) & 0xff;
  return ((bytes[whole] as number) & mask) === ((cidr.bytes[whole] as number) & mask);
}

/** Whether `address`, as `formatAddress` writes it, is link-local: 169.254.0.0/16 (RFC 3927) or fe80::/10 (RFC 4291 §2.5.6). */
export function isLinkLocal(address: string): boolean {
  return /^(169\.254\.|fe[89ab][0-9a-f]:)/.test(address);
}
