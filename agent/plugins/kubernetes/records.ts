/**
 * The objects of a cluster, by name and by address. Each event changes only what its object has: nothing is ever built
 * again as a whole, so that a hit between two events does not wait (docs/decisions/026-cluster-records.md).
 */
import type { Endpoint, Service, Slice } from './objects.ts';

/** A namespace. It is kept without existing while objects of it are there: events of different kinds have no order. */
export interface Namespace {
  readonly name: string;
  exists: boolean;
  readonly services: Map<string, ServiceNode>;
  /** EndpointSlices, by their own names. */
  readonly slices: Map<string, SliceNode>;
  /** Addresses of pods, by the pods' names; undefined where no pod is watched. */
  readonly pods: Map<string, readonly string[]>;
}

/** The place of a Service and of its EndpointSlices, whichever came first. */
export interface ServiceNode {
  readonly namespace: Namespace;
  readonly name: string;
  service: Service | undefined;
  readonly slices: SliceNode[];
}

/** An EndpointSlice at its Service. */
export interface SliceNode {
  readonly node: ServiceNode;
  slice: Slice;
}

/** What has an address: almost always one, and then not in a list. */
type Holders<Holder> = Map<string, Holder | Holder[]>;

/** Numbers of objects by kind. */
export interface Counts {
  readonly namespaces: number;
  readonly services: number;
  readonly endpoints: number;
  readonly pods: number;
  /** Addresses that something has, once for each kind of object. */
  readonly addresses: number;
}

/** All records of one cluster. */
export class Records {
  readonly #namespaces = new Map<string, Namespace>();
  readonly #byClusterIp: Holders<ServiceNode> = new Map();
  readonly #byEndpoint: Holders<SliceNode> = new Map();
  readonly #byPod: Holders<Namespace> = new Map();
  /** The zone of this node, whose endpoints are preferred; '' prefers none. */
  nodeZone = '';

  /** The namespace of this name if it exists. */
  namespace(name: string): Namespace | undefined {
    const found = this.#namespaces.get(name);
    return found?.exists === true ? found : undefined;
  }

  /** Services with this ClusterIP (`bytesOf`). */
  servicesAt(address: string): readonly ServiceNode[] {
    return holdersOf(this.#byClusterIp, address);
  }

  /** EndpointSlices with this address (`bytesOf`), ready or not. */
  slicesAt(address: string): readonly SliceNode[] {
    return holdersOf(this.#byEndpoint, address);
  }

  /** Whether a pod of `namespace` has this address (`bytesOf`). */
  hasPod(namespace: Namespace, address: string): boolean {
    return holdersOf(this.#byPod, address).includes(namespace);
  }

  setNamespace(name: string): void {
    this.#open(name).exists = true;
  }

  deleteNamespace(name: string): void {
    const found = this.#namespaces.get(name);
    if (found === undefined) return;
    found.exists = false;
    this.#close(found);
  }

  setService(namespace: string, name: string, service: Service): void {
    const node = this.#node(namespace, name);
    this.#index(node, service);
  }

  deleteService(namespace: string, name: string): void {
    const node = this.#namespaces.get(namespace)?.services.get(name);
    if (node === undefined) return;
    this.#index(node, undefined);
    this.#closeNode(node);
  }

  /** `service` may be another one than before: the label of a slice can change. */
  setSlice(namespace: string, name: string, service: string, slice: Slice): void {
    const known = this.#namespaces.get(namespace)?.slices.get(name);
    if (known?.node.name === service) {
      this.#replace(known, slice);
      return;
    }
    this.deleteSlice(namespace, name);
    const node = this.#node(namespace, service);
    const added: SliceNode = { node, slice: kept(slice, []) };
    node.slices.push(added);
    node.namespace.slices.set(name, added);
    for (const { address } of slice.endpoints) hold(this.#byEndpoint, address, added);
  }

  deleteSlice(namespace: string, name: string): void {
    const found = this.#namespaces.get(namespace)?.slices.get(name);
    if (found === undefined) return;
    const { node } = found;
    for (const { address } of found.slice.endpoints) release(this.#byEndpoint, address, found);
    node.slices.splice(node.slices.indexOf(found), 1);
    node.namespace.slices.delete(name);
    this.#closeNode(node);
  }

  setPod(namespace: string, name: string, addresses: readonly string[]): void {
    const place = this.#open(namespace);
    const before = place.pods.get(name) ?? [];
    if (addresses.length === 0) place.pods.delete(name);
    else place.pods.set(name, addresses);
    // Two pods of one namespace may have one address for a moment: the namespace is held once for each.
    for (const address of before) release(this.#byPod, address, place);
    for (const address of addresses) hold(this.#byPod, address, place);
    this.#close(place);
  }

  deletePod(namespace: string, name: string): void {
    if (this.#namespaces.get(namespace)?.pods.has(name) === true) this.setPod(namespace, name, []);
  }

  /** Numbers of objects, for metrics. A namespace counts while anything of it is held. */
  get counts(): Counts {
    const namespaces = this.#namespaces.size;
    let [services, endpoints, pods] = [0, 0, 0];
    for (const namespace of this.#namespaces.values()) {
      for (const { service } of namespace.services.values()) if (service !== undefined) services++;
      for (const { slice } of namespace.slices.values()) endpoints += slice.endpoints.length;
      pods += namespace.pods.size;
    }
    const addresses = this.#byClusterIp.size + this.#byEndpoint.size + this.#byPod.size;
    return { namespaces, services, endpoints, pods, addresses };
  }

  #index(node: ServiceNode, service: Service | undefined): void {
    const before = node.service?.addresses ?? [];
    const after = service?.addresses ?? [];
    for (const address of before)
      if (!after.includes(address)) release(this.#byClusterIp, address, node);
    for (const address of after)
      if (!before.includes(address)) hold(this.#byClusterIp, address, node);
    node.service = service;
  }

  /** Addresses that stay in their place, which most do, are not touched. */
  #replace(known: SliceNode, slice: Slice): void {
    const before = known.slice.endpoints;
    const after = slice.endpoints;
    known.slice = kept(slice, before);
    const common = Math.min(before.length, after.length);
    let from = 0;
    while (from < common && before[from]?.address === after[from]?.address) from++;
    for (let i = from; i < before.length; i++)
      release(this.#byEndpoint, before[i]?.address as string, known);
    for (let i = from; i < after.length; i++)
      hold(this.#byEndpoint, after[i]?.address as string, known);
  }

  #node(namespace: string, name: string): ServiceNode {
    const place = this.#open(namespace);
    const known = place.services.get(name);
    if (known !== undefined) return known;
    const made: ServiceNode = { namespace: place, name, service: undefined, slices: [] };
    place.services.set(name, made);
    return made;
  }

  #closeNode(node: ServiceNode): void {
    if (node.service !== undefined || node.slices.length > 0) return;
    node.namespace.services.delete(node.name);
    this.#close(node.namespace);
  }

  #open(name: string): Namespace {
    const known = this.#namespaces.get(name);
    if (known !== undefined) return known;
    const maps = { services: new Map(), slices: new Map(), pods: new Map() };
    const made: Namespace = { name, exists: false, ...maps };
    this.#namespaces.set(name, made);
    return made;
  }

  #close(namespace: Namespace): void {
    const { exists, services, slices, pods } = namespace;
    if (exists || services.size + slices.size + pods.size > 0) return;
    this.#namespaces.delete(namespace.name);
  }
}

/**
 * `slice` with the endpoints of `before` that have not changed. Most events change one endpoint of a slice: then the
 * garbage collector, during which no query is answered, has little to copy.
 */
function kept({ ports, endpoints }: Slice, before: readonly Endpoint[]): Slice {
  const same = (after: Endpoint, i: number): Endpoint => {
    const known = before[i];
    return known !== undefined && isEqual(known, after) ? known : after;
  };
  return { ports, endpoints: endpoints.map(same) };
}

function isEqual(a: Endpoint, b: Endpoint): boolean {
  return (
    a.address === b.address && a.isReady === b.isReady && a.host === b.host && a.zone === b.zone
  );
}

function holdersOf<Holder extends object>(
  holders: Holders<Holder>,
  address: string,
): readonly Holder[] {
  const found = holders.get(address);
  if (found === undefined) return [];
  return Array.isArray(found) ? found : [found];
}

function hold<Holder extends object>(
  holders: Holders<Holder>,
  address: string,
  holder: Holder,
): void {
  const found = holders.get(address);
  if (found === undefined) holders.set(address, holder);
  else if (Array.isArray(found)) found.push(holder);
  else holders.set(address, [found, holder]);
}

/** Takes one `holder` away: it holds an address as many times as it has it. */
function release<Holder extends object>(
  holders: Holders<Holder>,
  address: string,
  holder: Holder,
): void {
  const found = holders.get(address);
  if (!Array.isArray(found)) {
    if (found === holder) holders.delete(address);
    return;
  }
  const at = found.indexOf(holder);
  if (at >= 0) found.splice(at, 1);
  if (found.length === 1) holders.set(address, found[0] as Holder);
}
