/**
 * Maximum size of a UDP response, by the address that clients asked: a response that stays on the node needs no
 * fragmentation limit.
 */
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import {
  addressBytes,
  type Cidr,
  cidrContains,
  formatAddress,
  parseCidr,
} from '../../base/address.ts';
import { LIMITS } from '../../base/limits.ts';

/** Loopback (RFC 1122 §3.2.1.3, RFC 4291 §2.5.3) and link-local (RFC 3927, RFC 4291 §2.5.6). */
const ON_NODE = {
  4: ['127.0.0.0/8', '169.254.0.0/16'],
  6: ['::1/128', 'fe80::/10'],
} as const;

type Interfaces = () => Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;

/**
 * Maximum bytes of a response from an address in text form: the larger default if the address is one of `localIps`,
 * loopback, link-local or on the loopback interface.
 */
export function udpSizes(
  localIps: readonly string[],
  interfaces: Interfaces = networkInterfaces,
): (address: string) => number {
  const locals = new Set(localIps.map(plainText));
  return (address) => {
    const text = plainText(address);
    const isLocal =
      locals.has(text) || isOnNode(addressBytes(text)) || isOnLoopback(text, interfaces());
    return (isLocal ? LIMITS.localUdpSizeBytes : LIMITS.ednsUdpSizeBytes).default;
  };
}

function isOnNode(bytes: Uint8Array): boolean {
  return ON_NODE[bytes.length === 4 ? 4 : 6].some((text) =>
    cidrContains(parseCidr(text) as Cidr, bytes),
  );
}

function isOnLoopback(text: string, interfaces: ReturnType<Interfaces>): boolean {
  const all = Object.values(interfaces).flatMap((addresses = []) => addresses);
  return all.some(({ internal, address }) => internal && plainText(address) === text);
}

/** The address in its canonical text, without a zone. */
function plainText(address: string): string {
  return formatAddress(addressBytes(address));
}
