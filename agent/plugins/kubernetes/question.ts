/** Which record of the cluster a name asks for (Kubernetes DNS-Based Service Discovery 1.1.0). */

/** The parts of a name below a zone, lower case, from right to left. */
export type Asked =
  | { readonly kind: 'zone' }
  /** `svc` or `pod`: names are below them, and no records of their own. */
  | { readonly kind: 'root' }
  | { readonly kind: 'version' }
  /** `ns.dns`, the name of the zone's own servers, and `dns`, which only has that name below it. */
  | { readonly kind: 'servers'; readonly isHost: boolean }
  | { readonly kind: 'namespace'; readonly of: 'svc' | 'pod'; readonly namespace: string }
  | ServiceAsked
  | { readonly kind: 'pod'; readonly namespace: string; readonly pod: string }
  | { readonly kind: 'none' };

/** A name of a Service, of its ports, or of one of its endpoints. */
export interface ServiceAsked {
  readonly kind: 'service';
  readonly namespace: string;
  readonly service: string;
  /** The one label before the Service's; '' without one. */
  readonly endpoint: string;
  /** Of `_port._protocol`, without underscores; '' without them. */
  readonly port: string;
  readonly protocol: string;
}

const NONE: Asked = { kind: 'none' };
/** `_port._protocol.service.namespace.svc`: a longer name has no record. */
const MAX_LABELS = 5;

/**
 * What `name`, lower-case wire form in a zone of `zoneLength` bytes, asks for. As in CoreDNS, port and protocol may be
 * written without underscores, and there are no wildcards.
 */
export function readQuestion(name: Uint8Array, zoneLength: number): Asked {
  const labels = labelsAbove(name, zoneLength);
  if (labels === undefined) return NONE;
  const [root, namespace, subject, ...rest] = labels.reverse();
  if (root === undefined) return { kind: 'zone' };
  if (root === 'svc' || root === 'pod') {
    if (namespace === undefined) return { kind: 'root' };
    if (subject === undefined) return { kind: 'namespace', of: root, namespace };
    if (root === 'svc') return serviceAsked(namespace, subject, rest);
    return rest.length === 0 ? { kind: 'pod', namespace, pod: subject } : NONE;
  }
  if (root === 'dns-version' && namespace === undefined) return { kind: 'version' };
  if (root === 'dns' && namespace === undefined) return { kind: 'servers', isHost: false };
  if (root === 'dns' && namespace === 'ns' && subject === undefined)
    return { kind: 'servers', isHost: true };
  return NONE;
}

function serviceAsked(namespace: string, service: string, rest: readonly string[]): Asked {
  const [first = '', second] = rest;
  const names = { kind: 'service', namespace, service } as const;
  if (second === undefined) return { ...names, endpoint: first, port: '', protocol: '' };
  const [port, protocol] = [withoutUnderscore(second), withoutUnderscore(first)];
  // Without text they would match every port: that is a wildcard.
  return port === '' || protocol === '' ? NONE : { ...names, endpoint: '', port, protocol };
}

/** `_tcp` as `tcp`. */
export function withoutUnderscore(label: string): string {
  return label.startsWith('_') ? label.slice(1) : label;
}

/** Labels in the order of the name; undefined if there are more than any record has. */
function labelsAbove(name: Uint8Array, zoneLength: number): string[] | undefined {
  const labels: string[] = [];
  for (let at = 0; name.length - at > zoneLength; ) {
    if (labels.length === MAX_LABELS) return undefined;
    const end = at + 1 + (name[at] as number);
    labels.push(String.fromCharCode(...name.subarray(at + 1, end)));
    at = end;
  }
  return labels;
}
