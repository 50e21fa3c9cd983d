/** Names of addresses: PTR records of ClusterIPs and endpoints. */
import { nameToText } from '../../dns/name.ts';
import { writeReversed } from '../../dns/reverse-name.ts';
import { hostOf, isPublished } from './find.ts';
import { joined, textOf } from './names.ts';
import type { Records, ServiceNode } from './records.ts';

const scratch = new Uint8Array(16);

/** No message has more: a PTR record takes at least 16 bytes. */
const MAX_NAMES = 4_096;

/** The address of a PTR owner, one character per byte; undefined for any other name. */
export function addressOf(name: Uint8Array): string | undefined {
  const length = writeReversed(name, scratch);
  return length === 0 ? undefined : textOf(scratch.subarray(0, length));
}

/** Whether names of addresses can be below `name`: then to deny it would deny them too (RFC 8020). */
export function isAboveAddresses(name: Uint8Array): boolean {
  return /^(?:(?:\d{1,3}\.){0,3}in-addr|(?:[\da-f]\.){0,31}ip6)\.arpa\.$/.test(nameToText(name));
}

/**
 * Names, wire form in `zone`, of what has `address`: of the first Service with this ClusterIP, else of every published
 * endpoint (as in CoreDNS). Only those in namespaces that exist.
 */
export function namesOf(address: string, records: Records, zone: Uint8Array): Uint8Array[] {
  const services = zoneOfServices(zone);
  if (services === undefined) return [];
  for (const { name, namespace } of records.servicesAt(address))
    if (namespace.exists) return present(joined([name, namespace.name], services));
  return endpointNames(address, records, services);
}

function endpointNames(address: string, records: Records, services: Uint8Array): Uint8Array[] {
  const names = new Map<string, Uint8Array | undefined>();
  // A slice that has the address several times is there as many times: it is read once.
  for (const { node, slice } of new Set(records.slicesAt(address))) {
    if (!node.namespace.exists) continue;
    for (const endpoint of slice.endpoints) {
      if (endpoint.address !== address || !isPublished(endpoint, node)) continue;
      const host = hostOf(endpoint);
      const key = `${host}/${node.name}/${node.namespace.name}`;
      if (!names.has(key) && names.size < MAX_NAMES)
        names.set(key, endpointName(node, host, services));
    }
  }
  return [...names.values()].flatMap(present);
}

function endpointName(
  { name, namespace }: ServiceNode,
  host: string,
  services: Uint8Array,
): Uint8Array | undefined {
  return joined([host, name, namespace.name], services);
}

function zoneOfServices(zone: Uint8Array): Uint8Array | undefined {
  return joined(['svc'], zone);
}

function present(name: Uint8Array | undefined): Uint8Array[] {
  return name === undefined ? [] : [name];
}
