/**
 * What the plugin keeps of objects of the API server. An object is stripped when it arrives; strings that many objects
 * share are kept once. An address is a string of 4 or 16 characters, one for each byte: a third of the memory of its
 * text, and a key for maps.
 */
import { addressBytes, familyOf } from '../../base/address.ts';
import { lowerName, MAX_LABEL_BYTES, nameFromText } from '../../dns/name.ts';
import type { ApiObject } from '../../query/services/kubernetes.ts';
import { textOf } from './names.ts';

/** A port of a Service or of an EndpointSlice. Names and protocols are in lower case. */
export interface Port {
  /** '' for the only port of a Service without a name. */
  readonly name: string;
  readonly protocol: string;
  /** `NO_PORT` if the object has none: addresses are answered, SRV records are not (as in CoreDNS). */
  readonly port: number;
}

/** Stands for the number of a missing port. */
export const NO_PORT = -1;
const NO_PORTS: readonly Port[] = [{ name: '', protocol: '', port: NO_PORT }];

/** A Service as its records need it. */
export interface Service {
  /**
   * `cluster` has addresses of its own, `headless` those of its endpoints (`clusterIP: None`), `alias` only the name of
   * another host (`type: ExternalName`).
   */
  readonly kind: 'cluster' | 'headless' | 'alias';
  /** ClusterIPs, as strings of one byte per character. */
  readonly addresses: readonly string[];
  readonly ports: readonly Port[];
  /** Lower-case wire form as a string of one byte per character; '' unless `kind` is `alias` and the name is valid. */
  readonly target: string;
  readonly publishesNotReady: boolean;
}

/** One address of an EndpointSlice. */
export interface Endpoint {
  readonly address: string;
  /** Its label below the Service's name, lower case: hostname, name of the pod, or '' for the dashed address. */
  readonly host: string;
  /** The zone that it is in; '' if that is unknown or of no interest. */
  readonly zone: string;
  readonly isReady: boolean;
}

/** An EndpointSlice as its records need it: each endpoint has every port. */
export interface Slice {
  readonly ports: readonly Port[];
  readonly endpoints: readonly Endpoint[];
}

/** A namespaced object and what is kept of it. */
export interface Named<Kept> {
  readonly namespace: string;
  readonly name: string;
  readonly kept: Kept;
}

type Json = ApiObject;

/** The Service in `object`; undefined if it cannot have records, because its name is no label. */
export function serviceOf(object: Json): Named<Service> | undefined {
  const named = keyOf(object);
  if (named === undefined || labelIn(named.name) === '') return undefined;
  const spec = child(object, 'spec');
  const { clusterIP, clusterIPs, type, externalName } = spec;
  const addresses = listOf(clusterIPs).length > 0 ? listOf(clusterIPs) : [clusterIP];
  const kind = type === 'ExternalName' ? 'alias' : addresses[0] === 'None' ? 'headless' : 'cluster';
  const kept: Service = {
    kind,
    addresses: kind === 'cluster' ? addresses.flatMap(addressIn) : [],
    ports: portsIn(spec),
    target: kind === 'alias' ? targetIn(externalName) : '',
    publishesNotReady: spec.publishNotReadyAddresses === true,
  };
  return { ...named, kept };
}

/** An EndpointSlice and the Service that it belongs to. */
export interface NamedSlice extends Named<Slice> {
  readonly service: string;
  /** When the change happened that caused this version of it, Unix milliseconds; NaN where that is not known. */
  readonly changedMs: number;
}

/** What is kept of an endpoint. */
export interface SliceOptions {
  /** Whether an endpoint without hostname has its pod's name (CoreDNS's `endpoint_pod_names`). */
  readonly usesPodNames: boolean;
  readonly keepsZones: boolean;
}

/** The EndpointSlice in `object`; undefined without the label `kubernetes.io/service-name`. */
export function sliceOf(object: Json, options: SliceOptions): NamedSlice | undefined {
  const named = keyOf(object);
  const metadata = child(object, 'metadata');
  const labels = child(metadata, 'labels');
  const service = labelIn(labels['kubernetes.io/service-name']);
  if (named === undefined || service === '') return undefined;
  const endpoints: Endpoint[] = [];
  for (const each of listOf(object.endpoints)) addEndpoints(endpoints, each, options);
  const changed = child(metadata, 'annotations')[
    'endpoints.kubernetes.io/last-change-trigger-time'
  ];
  const changedMs = typeof changed === 'string' ? Date.parse(changed) : Number.NaN;
  const { namespace, name } = named;
  return { namespace, name, service, changedMs, kept: { ports: portsIn(object), endpoints } };
}

/**
 * The addresses of a pod, in `kept`. None while it has not been given one, once it has ended, and from the moment at
 * which it is to be deleted (CoreDNS leaves such pods out as well).
 */
export function podOf(object: Json): Named<readonly string[]> | undefined {
  const named = keyOf(object);
  if (named === undefined) return undefined;
  const status = child(object, 'status');
  const { phase, podIP, podIPs } = status;
  const isGone = child(object, 'metadata').deletionTimestamp !== undefined;
  if (isGone || phase === 'Succeeded' || phase === 'Failed') return { ...named, kept: [] };
  const all = listOf(podIPs).map((each) => (isJson(each) ? each.ip : undefined));
  return { ...named, kept: [...new Set([podIP, ...all].flatMap(addressIn))] };
}

/** The zone of the Node in `object`; '' if it has none. */
export function nodeZoneOf(object: Json): string {
  return zoneIn(child(child(object, 'metadata'), 'labels')['topology.kubernetes.io/zone']);
}

/** The name of a Namespace; undefined if it is no label. */
export function namespaceOf(object: Json): string | undefined {
  const name = labelIn(child(object, 'metadata').name);
  return name === '' ? undefined : name;
}

/** The key of a namespaced object. The name is not checked: a pod's or an EndpointSlice's may have several labels. */
export function keyOf(object: Json): { namespace: string; name: string } | undefined {
  const { namespace, name } = child(object, 'metadata');
  const label = labelIn(namespace);
  return label === '' || typeof name !== 'string' ? undefined : { namespace: label, name };
}

/** Lists of ports by their text. Most Services of a cluster have one of a few: this map makes them share it. */
const portLists = new Map<string, readonly Port[]>();
/** Lists beyond this number are not shared: the map must not grow with a cluster's history. */
const MAX_PORT_LISTS = 1_024;

/** Makes ports only for a list that is not known: an event of a Service or of its endpoints seldom has new ones. */
function portsIn(object: Json): readonly Port[] {
  const list = listOf(object.ports);
  let key = '';
  for (const each of list) if (isJson(each)) key += portText(each);
  if (key === '') return NO_PORTS;
  const known = portLists.get(key);
  if (known !== undefined) return known;
  const ports = list.filter(isJson).map(portIn);
  if (portLists.size < MAX_PORT_LISTS) portLists.set(key, ports);
  return ports;
}

/** Equal for ports that are equal; never empty. */
function portText({ name, protocol, port }: Json): string {
  const words = `${typeof name === 'string' ? name : ''}/${typeof protocol === 'string' ? protocol : ''}`;
  return `${words}/${typeof port === 'number' ? port : ''},`;
}

function portIn({ name, protocol, port }: Json): Port {
  return {
    name: typeof name === 'string' ? name.toLowerCase() : '',
    protocol: typeof protocol === 'string' ? protocol.toLowerCase() : '',
    port: typeof port === 'number' && port > 0 && port <= 65_535 ? port : NO_PORT,
  };
}

/** Names of zones: a cluster has a few, and every endpoint one of them. */
const zones = new Map<string, string>();
const MAX_ZONES = 256;
/** Of the value of a label (Kubernetes, "Labels and Selectors"). */
const MAX_ZONE_CHARS = 63;

function zoneIn(value: unknown): string {
  // A Node's label is no longer, so that a longer zone is no node's: it would only take memory, until the agent ends.
  if (typeof value !== 'string' || value.length > MAX_ZONE_CHARS) return '';
  const known = zones.get(value);
  if (known !== undefined) return known;
  if (zones.size < MAX_ZONES) zones.set(value, value);
  return value;
}

/** A missing `ready` means ready, as the API's documentation has it. */
function addEndpoints(
  endpoints: Endpoint[],
  endpoint: unknown,
  { usesPodNames, keepsZones }: SliceOptions,
): void {
  if (!isJson(endpoint)) return;
  const isReady = child(endpoint, 'conditions').ready !== false;
  const pod = usesPodNames ? labelIn(child(endpoint, 'targetRef').name) : '';
  const host = labelIn(endpoint.hostname) || pod;
  const zone = keepsZones ? zoneIn(endpoint.zone) : '';
  for (const text of listOf(endpoint.addresses)) {
    const address = typeof text === 'string' ? bytesOf(text) : undefined;
    if (address !== undefined) endpoints.push({ address, host, zone, isReady });
  }
}

/** The wire form of another host's name. An address is no name, and has no record (as in CoreDNS). */
function targetIn(name: unknown): string {
  if (typeof name !== 'string' || name === '' || familyOf(name) !== undefined) return '';
  try {
    return textOf(lowerName(nameFromText(name)));
  } catch {
    return '';
  }
}

/** `value` in lower case if it is a label that can be asked for, else ''. */
function labelIn(value: unknown): string {
  if (typeof value !== 'string' || value.length > MAX_LABEL_BYTES) return '';
  return /^[\x21-\x2d\x2f-\x7e]+$/.test(value) ? value.toLowerCase() : '';
}

function addressIn(text: unknown): string[] {
  if (typeof text !== 'string') return [];
  const bytes = bytesOf(text);
  return bytes === undefined ? [] : [bytes];
}

/** The bytes of an address in text form, one per character; undefined for any other text. */
export function bytesOf(text: string): string | undefined {
  const family = familyOf(text);
  if (family === undefined || text.includes('%')) return undefined;
  if (family === 6) return textOf(addressBytes(text));
  // Large slices have a thousand of these: no array for each.
  let packed = 0;
  let value = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code !== DOT) value = value * 10 + code - ZERO;
    else {
      packed = packed * 256 + value;
      value = 0;
    }
  }
  return String.fromCharCode(packed >>> 16, (packed >>> 8) & 0xff, packed & 0xff, value);
}

const DOT = 0x2e;
const ZERO = 0x30;

function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null;
}

const NOTHING: Json = {};

function child(object: Json, field: string): Json {
  const value = object[field];
  return isJson(value) ? value : NOTHING;
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
