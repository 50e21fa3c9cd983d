/** What the manifests set for nodens: arguments, privileges and Corefile. The namespaces use the same. */
import { readFileSync } from 'node:fs';
import { parse, parseAllDocuments } from 'yaml';
import { V4 } from './plan.ts';

const MANIFESTS = new URL('../../../manifests/', import.meta.url);
const DOMAIN = 'cluster.local';

/** One container: its arguments and its privileges. */
export interface Container {
  readonly args: readonly string[];
  readonly uid: number;
  readonly gid: number;
  /** Lower-case, without `cap_`. */
  readonly capabilities: readonly string[];
  readonly mayEscalate: boolean;
}

export interface OurDaemonSet {
  readonly init: Container;
  readonly agent: Container;
  readonly corefile: string;
  /** The variables that `envFrom` gives both containers. */
  readonly env: Readonly<Record<string, string>>;
}

export interface StockDaemonSet {
  readonly container: Container;
  readonly corefile: string;
}

interface ContainerSpec {
  readonly args: readonly string[];
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
  readonly securityContext: {
    readonly runAsUser?: number;
    readonly runAsGroup?: number;
    readonly allowPrivilegeEscalation?: boolean;
    readonly capabilities: { readonly add: readonly string[] };
  };
}

interface PodSpec {
  readonly containers: readonly ContainerSpec[];
  readonly initContainers?: readonly ContainerSpec[];
}

interface Resource {
  readonly kind: string;
  readonly spec: { readonly template: { readonly spec: PodSpec } };
  readonly data: Readonly<Record<string, string>>;
}

interface JsonPatch {
  readonly op: 'test' | 'replace';
  readonly path: string;
  readonly value: string;
}

/** What the operator fills in: the addresses nodens answers on. */
export interface LocalAddresses {
  readonly linkLocal: readonly string[];
  readonly vips: readonly string[];
}

/**
 * The DaemonSet with these in place of the settings' addresses: of the overlay `ipvs` where there are no VIPs, else of
 * `iptables-nftables`.
 */
export function ourDaemonSet({ linkLocal, vips }: LocalAddresses): OurDaemonSet {
  const resource = parse(text('base/daemonset.yaml')) as Resource;
  const overlay = vips.length === 0 ? 'ipvs' : 'iptables-nftables';
  for (const patch of overlayPatches(overlay)) replaceAt(resource, patch);
  const { initContainers = [], containers } = resource.spec.template.spec;
  const agent = containers[0] as ContainerSpec;
  const env = {
    LINK_LOCAL_IPS: linkLocal.join(','),
    KUBE_DNS_IPS: vips.join(','),
    CLUSTER_DOMAIN: DOMAIN,
    ...Object.fromEntries((agent.env ?? []).map(({ name, value = '' }) => [name, value])),
  };
  return {
    init: container(initContainers[0] as ContainerSpec, env),
    agent: container(agent, env),
    corefile: text('base/Corefile'),
    env,
  };
}

/** node-local-dns's own DaemonSet after its installer's `sed` for kube-proxy in iptables mode. */
export function stockDaemonSet(): StockDaemonSet {
  const documents = parseAllDocuments(installerSed(text('overlays/drop-in/node-local-dns.yaml')));
  const resources = documents.map((document) => document.toJS() as Resource);
  const ofKind = (kind: string): Resource => {
    const found = resources.find((resource) => resource.kind === kind);
    if (found === undefined) throw new Error(`the drop-in manifest has no ${kind}`);
    return found;
  };
  const [spec] = ofKind('DaemonSet').spec.template.spec.containers;
  return {
    container: container(spec as ContainerSpec, {}),
    corefile: ofKind('ConfigMap').data.Corefile as string,
  };
}

function text(path: string): string {
  return readFileSync(new URL(path, MANIFESTS), 'utf8');
}

function installerSed(manifest: string): string {
  return manifest
    .replaceAll('__PILLAR__LOCAL__DNS__', V4.local)
    .replaceAll('__PILLAR__DNS__DOMAIN__', DOMAIN)
    .replaceAll('__PILLAR__DNS__SERVER__', V4.vip);
}

function overlayPatches(name: string): JsonPatch[] {
  const { patches = [] } = parse(text(`overlays/${name}/kustomization.yaml`)) as {
    patches?: readonly { patch: string }[];
  };
  return patches.flatMap(({ patch }) => parse(patch) as JsonPatch[]);
}

/** RFC 6902 `replace` on members that exist, which is all the overlay uses. */
function replaceAt(resource: unknown, { op, path, value }: JsonPatch): void {
  if (op !== 'replace') return;
  const keys = path.split('/').slice(1);
  const last = keys.pop() as string;
  const parent = keys.reduce((at, key) => (at as Record<string, unknown>)[key], resource);
  (parent as Record<string, unknown>)[last] = value;
}

function container(
  { args, securityContext }: ContainerSpec,
  env: Readonly<Record<string, string>>,
): Container {
  const expand = (arg: string): string =>
    arg.replace(/\$\((\w+)\)/g, (whole, name: string) => env[name] ?? whole);
  return {
    args: args.map(expand),
    uid: securityContext.runAsUser ?? 0,
    gid: securityContext.runAsGroup ?? 0,
    capabilities: securityContext.capabilities.add.map((name) => name.toLowerCase()),
    mayEscalate: securityContext.allowPrivilegeEscalation ?? true,
  };
}
