/** What the records say about a name: addresses, another name, or which of the two kinds of nothing. */
import { formatAddress } from '../../base/address.ts';
import { bytesIn } from './names.ts';
import { bytesOf, type Endpoint, NO_PORT, type Port, type Service } from './objects.ts';
import { type Asked, type ServiceAsked, withoutUnderscore } from './question.ts';
import type { Namespace, Records, ServiceNode } from './records.ts';

/** Which names of pods exist, as in CoreDNS. */
export type PodMode = 'disabled' | 'insecure' | 'verified';

/** What decides which records there are. */
export interface FindOptions {
  readonly pods: PodMode;
  /** False with `noendpoints`: no name that comes from an endpoint exists. */
  readonly hasEndpoints: boolean;
  /** A Service without a ready endpoint does not exist, unless it is headless or an alias. */
  readonly ignoresEmpty: boolean;
}

/** One address with one port. */
export interface Target {
  /** The bytes of an address, one per character. */
  readonly address: string;
  /** `NO_PORT` if there is none. */
  readonly port: number;
  /** Label below the Service's name; '' for the Service itself. */
  readonly host: string;
}

/** `empty`: the name exists, or one below it does, without an address. `none`: NXDOMAIN (RFC 8020). */
export type Found =
  | { readonly kind: 'targets'; readonly targets: readonly Target[] }
  /** `target` is wire form, one byte per character. */
  | { readonly kind: 'alias'; readonly target: string }
  | { readonly kind: 'empty' }
  | { readonly kind: 'none' };

/** Options, and the zone whose endpoints are preferred; '' for none. */
interface Within extends FindOptions {
  readonly zone: string;
}

const EMPTY: Found = { kind: 'empty' };
const NONE: Found = { kind: 'none' };

/**
 * The records of a name below `svc` or `pod`. With `allPorts` an address comes once for each of its ports, as SRV
 * records need it, else once.
 */
export function find(
  asked: Extract<Asked, { kind: 'namespace' | 'service' | 'pod' }>,
  records: Records,
  options: FindOptions,
  allPorts: boolean,
): Found {
  const namespace = records.namespace(asked.namespace);
  if (namespace === undefined) return NONE;
  if (asked.kind === 'service')
    return findService(asked, namespace, { ...options, zone: records.nodeZone }, allPorts);
  // CoreDNS denies the namespace as well where there are no pods.
  if (asked.kind === 'namespace')
    return asked.of === 'pod' && options.pods === 'disabled' ? NONE : EMPTY;
  return findPod(asked.pod, namespace, records, options);
}

function findService(
  asked: ServiceAsked,
  namespace: Namespace,
  options: Within,
  allPorts: boolean,
): Found {
  const node = namespace.services.get(asked.service);
  const service = node?.service;
  if (node === undefined || service === undefined) return NONE;
  const { endpoint, port } = asked;
  if (service.kind === 'alias') {
    const isItself = endpoint === '' && port === '' && service.target !== '';
    return isItself ? { kind: 'alias', target: service.target } : NONE;
  }
  if (options.ignoresEmpty && service.kind === 'cluster' && !hasReady(node)) return NONE;
  const found =
    service.kind === 'headless' || endpoint !== ''
      ? endpointsOf(asked, node, options, allPorts)
      : ownTargets(asked, service, allPorts);
  return found.kind === 'none' && isProtocol(asked, node, service) ? EMPTY : found;
}

/** A Service without an address of its family still exists: a name that matches a port is never denied. */
function ownTargets(asked: ServiceAsked, service: Service, allPorts: boolean): Found {
  const ports = matching(service.ports, asked, allPorts);
  if (ports.length === 0) return NONE;
  const targets = ports.flatMap((port) =>
    service.addresses.map((address) => ({ address, port, host: '' })),
  );
  return { kind: 'targets', targets };
}

function endpointsOf(
  asked: ServiceAsked,
  node: ServiceNode,
  { hasEndpoints, zone }: Within,
  allPorts: boolean,
): Found {
  if (!hasEndpoints) return NONE;
  const near: Target[] = [];
  const others: Target[] = [];
  const isWanted = matcherOf(asked.endpoint);
  for (const { slice } of node.slices) {
    const ports = matching(slice.ports, asked, allPorts);
    for (const endpoint of slice.endpoints) {
      if (!isPublished(endpoint, node) || !isWanted(endpoint)) continue;
      const host = allPorts ? hostOf(endpoint) : '';
      const list = zone !== '' && endpoint.zone === zone ? near : others;
      for (const port of ports) list.push({ address: endpoint.address, port, host });
    }
  }
  // A name of one endpoint has its addresses wherever it is.
  const targets = asked.endpoint === '' ? preferred(near, others) : [...near, ...others];
  return targets.length === 0 ? NONE : { kind: 'targets', targets };
}

/** Those that are near, and of each family that none of them has the others: a preference must never be NODATA. */
function preferred(near: readonly Target[], others: readonly Target[]): readonly Target[] {
  if (near.length === 0) return others;
  const families = new Set(near.map(({ address }) => address.length));
  return [...near, ...others.filter(({ address }) => !families.has(address.length))];
}

/** Whether `endpoint` has records: ready, or its Service wants those that are not as well. */
export function isPublished(
  { isReady }: { readonly isReady: boolean },
  { service }: ServiceNode,
): boolean {
  return isReady || service?.publishesNotReady === true;
}

function hasReady(node: ServiceNode): boolean {
  return node.slices.some(({ slice }) => slice.endpoints.some((each) => isPublished(each, node)));
}

/** Numbers of the ports that are asked for; of all of them only the first unless `allPorts`. */
function matching(
  ports: readonly Port[],
  { port, protocol }: ServiceAsked,
  allPorts: boolean,
): number[] {
  const found = ports.filter(
    (each) => port === '' || (each.name === port && each.protocol === protocol),
  );
  const numbers = found.map((each) => each.port);
  return allPorts ? numbers : numbers.slice(0, 1);
}

/**
 * Whether the label before the Service's is the protocol of a named port: then a name is below it, and to deny it would
 * deny that name too (RFC 8020). CoreDNS denies it.
 */
function isProtocol({ endpoint, port }: ServiceAsked, node: ServiceNode, own: Service): boolean {
  if (port !== '' || endpoint === '') return false;
  const protocol = withoutUnderscore(endpoint);
  const isNamed = (each: Port): boolean => each.name !== '' && each.protocol === protocol;
  if (own.kind === 'cluster') return own.ports.some(isNamed);
  return node.slices.some(
    ({ slice }) =>
      slice.ports.some(isNamed) && slice.endpoints.some((each) => isPublished(each, node)),
  );
}

/** The label of an endpoint below its Service: its own, or the dashed form of its address (as in CoreDNS). */
export function hostOf({
  host,
  address,
}: {
  readonly host: string;
  readonly address: string;
}): string {
  return host === '' ? dashed(address) : host;
}

/** Compares an endpoint's label with `label`, without making one for each endpoint. Without `label` all are equal. */
function matcherOf(label: string): (endpoint: Endpoint) => boolean {
  if (label === '') return () => true;
  const address = bytesOf(undashed(label));
  const isAddress = address !== undefined && dashed(address) === label;
  return (endpoint) =>
    endpoint.host === '' ? isAddress && endpoint.address === address : endpoint.host === label;
}

/** The text of the address whose dashed form is `label`. */
function undashed(label: string): string {
  return label.replaceAll('-', /^\d+-\d+-\d+-\d+$/.test(label) ? '.' : ':');
}

function dashed(address: string): string {
  const text = formatAddress(bytesIn(address)).replaceAll(/[.:]/g, '-');
  return text.endsWith('-') ? `${text}0` : text;
}

function findPod(
  pod: string,
  namespace: Namespace,
  records: Records,
  { pods }: FindOptions,
): Found {
  if (pods === 'disabled') return NONE;
  const address = bytesOf(undashed(pod));
  if (address === undefined) return NONE;
  if (pods === 'verified' && !records.hasPod(namespace, address)) return NONE;
  return { kind: 'targets', targets: [{ address, port: NO_PORT, host: '' }] };
}
