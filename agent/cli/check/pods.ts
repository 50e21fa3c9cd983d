/** What a manifest says about pods of nodens, as far as it decides whether they can work. */
import type { Found, Path } from './yaml-file.ts';

interface Container {
  readonly name?: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly ports?: readonly unknown[];
  readonly resources?: { readonly limits?: { readonly memory?: string | number } };
  readonly securityContext?: {
    readonly privileged?: boolean;
    readonly capabilities?: {
      readonly add?: readonly string[];
      readonly drop?: readonly string[];
    };
  };
}

interface PodSpec {
  readonly hostNetwork?: boolean;
  readonly dnsPolicy?: string;
  readonly initContainers?: readonly Container[];
  readonly containers?: readonly Container[];
}

/** A Pod, or a workload with a template of pods. */
export interface PodHolder {
  readonly kind?: string;
  readonly spec?: PodSpec & {
    readonly template?: { readonly spec?: PodSpec };
    readonly updateStrategy?: { readonly rollingUpdate?: { readonly maxSurge?: string | number } };
  };
}

/** A finding at a line of the manifest. */
export interface PodWarning {
  readonly line: number;
  readonly message: string;
}

type Role = 'init' | 'agent' | 'drop-in';

const MEBI = 2 ** 20;
/** Below it the kernel kills the container: manifests/README.md has the measured sizes. */
const LEAST_MEBIBYTES: Readonly<Record<Role, number>> = { init: 32, agent: 96, 'drop-in': 128 };
/** What each needs beyond what is not dropped. A runtime gives NET_BIND_SERVICE by default, NET_ADMIN never. */
const NEEDED: Readonly<Record<Role, readonly string[]>> = {
  init: ['NET_ADMIN'],
  agent: ['NET_BIND_SERVICE'],
  'drop-in': ['NET_ADMIN', 'NET_BIND_SERVICE'],
};
const DEFAULT_CAPABILITIES = new Set(['NET_BIND_SERVICE']);
const WHY: Readonly<Record<string, string>> = {
  NET_ADMIN: 'init cannot put addresses and rules on the node',
  NET_BIND_SERVICE: 'the agent cannot bind port 53',
};
const UNITS: Readonly<Record<string, number>> = {
  ...{ '': 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12 },
  ...{ Ki: 2 ** 10, Mi: MEBI, Gi: 2 ** 30, Ti: 2 ** 40 },
};

interface Ours {
  readonly pod: PodSpec;
  readonly podPath: Path;
  readonly containers: readonly {
    readonly container: Container;
    readonly path: Path;
    readonly role: Role | undefined;
  }[];
}

/** The pod of a resource if a container of it runs nodens. */
function podOf({ spec }: PodHolder): Ours | undefined {
  const podPath: Path = spec?.template === undefined ? ['spec'] : ['spec', 'template', 'spec'];
  const pod = spec?.template?.spec ?? spec;
  if (pod === undefined) return undefined;
  const containers = (['initContainers', 'containers'] as const).flatMap((list) =>
    (pod[list] ?? []).map((container, at) => ({
      container,
      path: [...podPath, list, at],
      role: roleOf(container),
    })),
  );
  return containers.some(({ role }) => role !== undefined)
    ? { pod, podPath, containers }
    : undefined;
}

/** Whether a resource has pods that run nodens. */
export function runsNodens(resource: PodHolder): boolean {
  return podOf(resource) !== undefined;
}

/** Warnings about the pods of `found` that run nodens; none for pods that do not. */
export function* podWarnings(found: Found<PodHolder>): Iterable<PodWarning> {
  const ours = podOf(found.resource);
  if (ours === undefined) return;
  const { pod, podPath, containers } = ours;
  const isOrdinary = containers.every(
    ({ container, role }) => role === undefined || isAlone(container, role),
  );
  yield* aboutPod(found, pod, podPath, isOrdinary);
  for (const { container, path, role } of containers)
    if (role !== undefined) yield* aboutContainer(found, container, path, role);
  const surge = found.resource.spec?.updateStrategy?.rollingUpdate?.maxSurge ?? 0;
  if (/^0*%?$/.test(String(surge)) || pod.hostNetwork !== true) return;
  for (const { container, path } of containers)
    if ((container.ports ?? []).length > 0)
      yield {
        line: found.lineOf([...path, 'ports']),
        message:
          `${container.name}: with hostNetwork these ports are host ports, so with maxSurge the new pod is never ` +
          'placed beside the old one and an update stands still: remove ports',
      };
}

function roleOf({ command = [], args = [] }: Container): Role | undefined {
  const words = [...command, ...args].map(String);
  const first = words.find((word) => !/(^|\/)nodens$/.test(word));
  if (first === 'init' || first === 'agent') return first;
  const isDropIn = words.some((word) => /^--?(conf|basecorefile)\b/.test(word));
  return isDropIn && words.some((word) => /^--?localip\b/.test(word)) ? 'drop-in' : undefined;
}

/** An agent that serves the addresses of its pod, to which something else brings the queries. */
function isAlone({ args = [] }: Container, role: Role): boolean {
  return role === 'agent' && args.some((word) => /^--?without-init$/.test(word));
}

function* aboutPod(
  found: Found<PodHolder>,
  { hostNetwork, dnsPolicy }: PodSpec,
  path: Path,
  isOrdinary: boolean,
): Iterable<PodWarning> {
  if (hostNetwork !== true && !isOrdinary)
    yield {
      line: found.lineOf([...path, 'hostNetwork']),
      message:
        'hostNetwork is not true: addresses and rules would be those of the pod, not the node',
    };
  if (dnsPolicy === 'ClusterFirstWithHostNet')
    yield {
      line: found.lineOf([...path, 'dnsPolicy']),
      message:
        'dnsPolicy ClusterFirstWithHostNet: /etc/resolv.conf names kube-dns, so names outside the cluster go there ' +
        'and come back: use Default',
    };
}

function* aboutContainer(
  found: Found<PodHolder>,
  { name, resources, securityContext }: Container,
  path: Path,
  role: Role,
): Iterable<PodWarning> {
  const limit = resources?.limits?.memory;
  const bytes = limit === undefined ? undefined : bytesOf(String(limit));
  if (bytes !== undefined && bytes < LEAST_MEBIBYTES[role] * MEBI)
    yield {
      line: found.lineOf([...path, 'resources', 'limits', 'memory']),
      message:
        `${name}: a memory limit of ${limit} is less than the ${LEAST_MEBIBYTES[role]}Mi that ` +
        `${role === 'drop-in' ? 'init and agent together need' : `the ${role} needs`}: the kernel would kill it`,
    };
  if (securityContext?.privileged === true) return;
  const { add = [], drop = [] } = securityContext?.capabilities ?? {};
  const given = new Set(add.map((one) => one.replace(/^CAP_/, '')));
  const isDropped = drop.some((one) => one === 'ALL' || NEEDED[role].includes(one));
  for (const needed of NEEDED[role]) {
    const isDefault = DEFAULT_CAPABILITIES.has(needed) && !isDropped;
    if (given.has('ALL') || given.has(needed) || isDefault) continue;
    yield {
      line: found.lineOf([...path, 'securityContext', 'capabilities', 'add']),
      message: `${name}: the capability ${needed} is missing: ${WHY[needed]}`,
    };
  }
}

/** Bytes of a quantity of Kubernetes; undefined for one that this does not know. */
function bytesOf(quantity: string): number | undefined {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)([kMGT]|[KMGT]i)?$/.exec(quantity) ?? [];
  const factor = UNITS[unit];
  return number === undefined || factor === undefined ? undefined : Number(number) * factor;
}
