/** Records of a zone itself: its SOA, its servers, and the version of the specification. */
import { characterStrings, type NewRecord } from '../../dns/build.ts';
import { putU32 } from '../../dns/header.ts';
import { TYPE } from '../../dns/iana.ts';
import { nameFromText } from '../../dns/name.ts';
import { bytesIn, joined, textOf } from './names.ts';
import { NO_PORT } from './objects.ts';
import type { Records } from './records.ts';

/** Version of the Kubernetes DNS-Based Service Discovery specification. */
const SCHEMA_VERSION = '1.1.0';
const VERSION_TTL_SECONDS = 28_800;
/** As in CoreDNS. */
const MAX_SOA_TTL_SECONDS = 300;
const REFRESH_SECONDS = 7_200;
const RETRY_SECONDS = 1_800;
const EXPIRE_SECONDS = 86_400;
const DNS_PORT = 53;

/** A zone of the directive. */
export interface Zone {
  /** Lower-case wire form. */
  readonly name: Uint8Array;
  /** Below `in-addr.arpa` or `ip6.arpa`: names of addresses. */
  readonly isReverse: boolean;
  /** Name of its SOA's server, `ns.dns.ZONE`, and the RDATA in front of the serial. */
  readonly server: Uint8Array;
  readonly soaNames: Uint8Array;
}

/** The zone with this name, presentation format. Throws RangeError if it leaves no room for names below it. */
export function zoneFrom(text: string): Zone {
  const name = nameFromText(text);
  const server = joined(['ns', 'dns'], name);
  const mailbox = joined(['hostmaster'], name);
  if (server === undefined || mailbox === undefined)
    throw new RangeError(`zone "${text}" is too long`);
  return {
    name,
    isReverse: isReverseZone(text),
    server,
    soaNames: Uint8Array.from([...server, ...mailbox]),
  };
}

/** Whether the zone, lower case with trailing dot, is one of addresses. */
export function isReverseZone(text: string): boolean {
  return /(^|\.)(in-addr|ip6)\.arpa\.$/.test(text);
}

/** The SOA, as CoreDNS makes it: the serial is the time of the last change, Unix seconds. */
export function soaOf(zone: Zone, serial: number, ttlSeconds: number): NewRecord {
  const { soaNames } = zone;
  const rdata = new Uint8Array(soaNames.length + 20);
  rdata.set(soaNames);
  const fields = [serial, REFRESH_SECONDS, RETRY_SECONDS, EXPIRE_SECONDS, ttlSeconds];
  for (const [i, value] of fields.entries()) putU32(rdata, soaNames.length + 4 * i, value);
  const ttl = Math.min(ttlSeconds, MAX_SOA_TTL_SECONDS);
  return { name: zone.name, type: TYPE.SOA, ttlSeconds: ttl, rdata };
}

/** The TXT record of `dns-version.ZONE`. */
export const VERSION: NewRecord = {
  type: TYPE.TXT,
  ttlSeconds: VERSION_TTL_SECONDS,
  rdata: characterStrings([SCHEMA_VERSION]),
};

/** A name of a server of the zone, with one of its addresses, one character per byte. */
export interface ServerAddress {
  readonly name: Uint8Array;
  readonly address: string;
}

/**
 * The servers of a zone. `own` are addresses that the agent serves: if one is the ClusterIP of a DNS Service, which
 * pods ask, the server is that Service, as it is for a CoreDNS behind it. Else it is `ns.dns.ZONE` with those addresses.
 */
export function serversOf(zone: Zone, own: readonly string[], records: Records): ServerAddress[] {
  const found: ServerAddress[] = [];
  const services = new Set(own.flatMap((address) => records.servicesAt(address)));
  for (const { name, namespace, service } of services) {
    const isDns = service?.ports.some(({ port }) => port === DNS_PORT) === true;
    const host = joined([name, namespace.name, 'svc'], zone.name);
    if (!isDns || !namespace.exists || host === undefined) continue;
    for (const address of service.addresses) found.push({ name: host, address });
  }
  return found.length > 0 ? found : own.map((address) => ({ name: zone.server, address }));
}

/** Type of an address record: A for 4 bytes, AAAA for 16. */
export function addressType(address: string): number {
  return address.length === 4 ? TYPE.A : TYPE.AAAA;
}

/** NS records of the zone's apex, and the addresses of their targets. */
export function nsOf(
  servers: readonly ServerAddress[],
  ttlSeconds: number,
): { answer: NewRecord[]; additional: NewRecord[] } {
  const names = new Map(servers.map(({ name }) => [textOf(name), name]));
  const answer = [...names.values()].map((rdata) => ({ type: TYPE.NS, ttlSeconds, rdata }));
  const additional = servers.map(({ name, address }) => ({
    name,
    type: addressType(address),
    ttlSeconds,
    rdata: bytesIn(address),
  }));
  return { answer, additional };
}

/** The port of a target can be asked for. */
export function hasPort({ port }: { readonly port: number }): boolean {
  return port !== NO_PORT;
}
