/**
 * What counts as one client: an IPv4 address, or the /64 of an IPv6 address, because a host can use any address of its
 * /64 (RFC 6177). In a network of this node itself each address is a client: the pods of a node share a /64.
 */
import { addressBytes, familyOf, formatAddress } from '../address.ts';

const V4_MAPPED_PREFIX_BYTES = 12;
/** Bytes of an IPv6 address that identify its network. */
export const NETWORK_BYTES = 8;

let ownNetworks: ReadonlySet<string> = new Set();

/** Sets the /64s of this node: their first eight bytes, one in each character. */
export function setOwnNetworks(networks: ReadonlySet<string>): void {
  ownNetworks = networks;
}

/** Key of an IPv6 address, given as its sixteen bytes, one in each character. */
export function v6Key(address: string): string {
  const network = address.slice(0, NETWORK_BYTES);
  return ownNetworks.has(network) ? address : network;
}

/**
 * The client's address bytes, one in each character; '' if `address` is not an address (a unix socket, a closed one).
 */
export function clientKey(address: string): string {
  if (familyOf(address) === undefined) return '';
  const bytes = addressBytes(address);
  if (bytes.length === 4) return String.fromCharCode(...bytes);
  if (isV4Mapped(bytes)) return String.fromCharCode(...bytes.subarray(V4_MAPPED_PREFIX_BYTES));
  return v6Key(String.fromCharCode(...bytes));
}

/** The client as logs and series name it: `10.0.0.7`, `fd00:1:2:3::7`, `fd00:1:2:3::/64`; `-` if no client asked. */
export function clientName(key: string): string {
  if (key === '') return '-';
  const bytes = Uint8Array.from(key, (char) => char.charCodeAt(0));
  if (bytes.length !== NETWORK_BYTES) return formatAddress(bytes);
  const address = new Uint8Array(16);
  address.set(bytes);
  return `${formatAddress(address)}/64`;
}

function isV4Mapped(bytes: Uint8Array): boolean {
  const isZero = bytes.subarray(0, 10).every((byte) => byte === 0);
  return isZero && bytes[10] === 0xff && bytes[11] === 0xff;
}
