/** Objects of a cluster as the API server sends them, with the fields that records need and some that they do not. */
import type { ApiObject } from '../../../agent/query/services/kubernetes.ts';

/** `80`, `http:80` or `dns:53/UDP`; `http:` has no number. */
function portOf(text: string): ApiObject {
  const [, name, port = '', protocol = 'TCP'] =
    /^(?:([a-z-]+):)?(\d*)(?:\/(\w+))?$/.exec(text) ?? [];
  return {
    ...(name !== undefined && { name }),
    ...(port !== '' && { port: Number(port) }),
    protocol,
  };
}

function metadata(path: string, more: ApiObject = {}): ApiObject {
  const [namespace, name] = path.split('/');
  return { namespace, name, resourceVersion: '1', uid: path, managedFields: [{}], ...more };
}

export function namespaceObject(name: string): ApiObject {
  return { metadata: { name, labels: { 'kubernetes.io/metadata.name': name } } };
}

export interface ServiceOptions {
  readonly ips?: readonly string[];
  readonly ports?: readonly string[];
  readonly externalName?: string;
  readonly publishNotReadyAddresses?: boolean;
}

/** `path` is `namespace/name`. Without `ips` it is headless, with `externalName` an alias. */
export function serviceObject(path: string, options: ServiceOptions = {}): ApiObject {
  const { ips = ['None'], ports = [], externalName, publishNotReadyAddresses } = options;
  const addresses = { clusterIP: ips[0], clusterIPs: ips };
  const spec = externalName === undefined ? addresses : { type: 'ExternalName', externalName };
  return {
    metadata: metadata(path, { annotations: { note: 'x'.repeat(100) } }),
    spec: {
      type: 'ClusterIP',
      selector: {},
      publishNotReadyAddresses,
      ...spec,
      ports: ports.map(portOf),
    },
    status: { loadBalancer: {} },
  };
}

/**
 * `10.0.0.1`, `web-0=10.0.0.1` with a hostname, `!10.0.0.1` not ready, `10.0.0.1@web-5c` with a pod, `10.0.0.1#b` in
 * another zone than `a`.
 */
function endpointOf(text: string): ApiObject {
  const [, unready, hostname, address, pod, zone = 'a'] =
    /^(!?)(?:([a-z0-9-]+)=)?([0-9a-f.:]+)(?:@([^\s#]+))?(?:#(\S+))?$/.exec(text) ?? [];
  return {
    addresses: [address],
    conditions: { ready: unready !== '!', serving: true, terminating: false },
    nodeName: 'worker-1',
    zone: `zone-${zone}`,
    ...(hostname !== undefined && { hostname }),
    ...(pod !== undefined && { targetRef: { kind: 'Pod', name: pod, uid: pod } }),
  };
}

/** A slice of `service`, in the namespace of `path`. */
export function sliceObject(
  path: string,
  service: string,
  endpoints: readonly string[],
  ports: readonly string[] = [],
): ApiObject {
  return {
    metadata: metadata(path, { labels: { 'kubernetes.io/service-name': service } }),
    addressType: 'IPv4',
    endpoints: endpoints.map(endpointOf),
    ports: ports.map(portOf),
  };
}

export function podObject(path: string, ips: readonly string[], status: ApiObject = {}): ApiObject {
  const podIPs = ips.map((ip) => ({ ip }));
  return {
    metadata: metadata(path),
    spec: { containers: [{ name: 'app', image: 'app' }] },
    status: { phase: 'Running', podIP: ips[0], podIPs, ...status },
  };
}
