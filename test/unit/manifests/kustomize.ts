/**
 * The result of `kustomize build` for our overlays, for machines without kustomize. It knows the few
 * features the manifests use and throws on every other, so that an overlay cannot quietly mean
 * something else here than in a cluster. Generated names get no hash suffix.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { mergeInto, type Tree } from './merge-patch.ts';

export interface Resource {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { name: string; namespace?: string; labels?: Record<string, string> };
  readonly [field: string]: unknown;
}

interface Generator {
  readonly name: string;
  readonly namespace?: string;
  readonly envs?: readonly string[];
  readonly files?: readonly string[];
  readonly options?: { disableNameSuffixHash?: boolean; labels?: Record<string, string> };
}

interface Image {
  readonly name: string;
  readonly newName: string;
  readonly newTag: string;
}

interface OperationsPatch {
  readonly target: { kind: string; name: string };
  readonly patch: string;
}

/** A strategic merge patch, for the resource of the same kind and name. */
interface MergePatch {
  readonly path: string;
}

type Patch = OperationsPatch | MergePatch;

interface Operation {
  readonly op: string;
  readonly path: string;
  readonly value: unknown;
}

interface Kustomization {
  readonly namespace?: string;
  readonly resources?: readonly string[];
  readonly components?: readonly string[];
  readonly configMapGenerator?: readonly Generator[];
  readonly patches?: readonly Patch[];
  readonly images?: readonly Image[];
  readonly transformers?: readonly string[];
}

interface NamespaceTransformer {
  readonly apiVersion: 'builtin';
  readonly kind: 'NamespaceTransformer';
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly unsetOnly: true;
}

const KNOWN = new Set([
  'apiVersion',
  'kind',
  'namespace',
  'resources',
  'components',
  'configMapGenerator',
  'patches',
  'images',
  'transformers',
]);

/** The resources that the kustomization in `folder` builds. Throws where it uses what this builder does not know. */
export function build(folder: string): Resource[] {
  return apply(folder, []);
}

/** What the real program builds, without the suffixes of generated names; undefined where it is not installed. */
export function realBuild(folder: string): Resource[] | undefined {
  const run = spawnSync('kubectl', ['kustomize', folder], { encoding: 'utf8' });
  if (run.error !== undefined) return undefined;
  if (run.status !== 0) throw new Error(run.stderr);
  const text = run.stdout.replace(/nodens-settings-[a-z0-9]{10}\b/g, 'nodens-settings');
  return parseAllDocuments(text).map((document) => document.toJS() as Resource);
}

function apply(folder: string, inherited: readonly Resource[]): Resource[] {
  const text = readFileSync(join(folder, 'kustomization.yaml'), 'utf8');
  const kustomization = parse(text) as Kustomization;
  refuseUnknown(folder, kustomization, KNOWN);
  let resources = [...inherited];
  for (const entry of kustomization.resources ?? []) resources.push(...load(join(folder, entry)));
  for (const generator of kustomization.configMapGenerator ?? [])
    resources.push(configMap(folder, generator));
  for (const entry of kustomization.components ?? [])
    resources = apply(join(folder, entry), resources);
  for (const patch of kustomization.patches ?? []) applyPatch(folder, resources, patch);
  if (kustomization.namespace !== undefined)
    for (const resource of resources.filter(isNamespaced))
      resource.metadata.namespace = kustomization.namespace;
  for (const entry of kustomization.transformers ?? [])
    setNamespace(join(folder, entry), resources);
  for (const image of kustomization.images ?? []) setImage(resources, image);
  return resources;
}

/** The one transformer in use: sets the namespace of resources without one. */
function setNamespace(path: string, resources: readonly Resource[]): void {
  const transformer = parse(readFileSync(path, 'utf8')) as NamespaceTransformer;
  refuseUnknown(path, transformer, new Set(['apiVersion', 'kind', 'metadata', 'unsetOnly']));
  const { kind, unsetOnly, metadata } = transformer;
  if (kind !== 'NamespaceTransformer' || unsetOnly !== true)
    throw new Error(`${path}: this builder does not know this transformer`);
  for (const resource of resources.filter(isNamespaced))
    resource.metadata.namespace ??= metadata.namespace;
}

/** Of the kinds in the manifests. */
function isNamespaced({ kind }: Resource): boolean {
  return !kind.startsWith('ClusterRole');
}

function refuseUnknown(where: string, value: object, known: ReadonlySet<string>): void {
  for (const field of Object.keys(value))
    if (!known.has(field)) throw new Error(`${where}: this builder does not know '${field}'`);
}

function load(path: string): Resource[] {
  if (statSync(path).isDirectory()) return build(path);
  const documents = parseAllDocuments(readFileSync(path, 'utf8'), { uniqueKeys: true });
  return documents.map((document) => {
    if (document.errors[0] !== undefined) throw document.errors[0];
    return document.toJS() as Resource;
  });
}

function configMap(folder: string, generator: Generator): Resource {
  refuseUnknown(
    `${folder}: ConfigMap ${generator.name}`,
    generator,
    new Set(['name', 'namespace', 'envs', 'files', 'options']),
  );
  const data: Record<string, string> = {};
  for (const file of generator.files ?? []) data[file] = readFileSync(join(folder, file), 'utf8');
  for (const file of generator.envs ?? []) Object.assign(data, readEnv(join(folder, file)));
  const { name, namespace, options } = generator;
  const metadata = {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(options?.labels === undefined ? {} : { labels: options.labels }),
  };
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata, data };
}

function readEnv(path: string): Record<string, string> {
  const lines = readFileSync(path, 'utf8').split('\n');
  const settings = lines.filter((line) => line !== '' && !line.startsWith('#'));
  return Object.fromEntries(
    settings.map((line) => {
      const [name = '', ...value] = line.split('=');
      return [name, value.join('=')];
    }),
  );
}

function applyPatch(folder: string, resources: readonly Resource[], patch: Patch): void {
  if ('path' in patch) {
    refuseUnknown(folder, patch, new Set(['path']));
    for (const change of load(join(folder, patch.path))) {
      const target = resources.find(
        (r) => r.kind === change.kind && r.metadata.name === change.metadata.name,
      );
      if (target === undefined) throw new Error(`${folder}: no ${change.kind} to patch`);
      mergeInto(target as Tree, change as Tree);
    }
    return;
  }
  const { kind, name } = patch.target;
  const target = resources.find((r) => r.kind === kind && r.metadata.name === name);
  if (target === undefined) throw new Error(`${folder}: no ${kind} ${name} to patch`);
  for (const operation of parse(patch.patch) as Operation[]) operate(target, operation);
}

/** RFC 6902 `remove`, `replace`, `add` of a new member of an object, and `test` of values that are text. */
function operate(target: Resource, { op, path, value }: Operation): void {
  const keys = path.slice(1).split('/');
  const last = keys.pop() as string;
  const parent = keys.reduce<unknown>(
    (at, key) => (at as Record<string, unknown> | undefined)?.[key],
    target,
  ) as Record<string, unknown> | undefined;
  if (parent === undefined || last in parent === (op === 'add')) throw new Error(`${op}: ${path}`);
  if (op === 'replace' || (op === 'add' && !Array.isArray(parent))) parent[last] = value;
  else if (op === 'remove' && Array.isArray(parent)) parent.splice(Number(last), 1);
  else if (op === 'remove') delete parent[last];
  else if (op !== 'test') throw new Error(`this builder does not know the operation '${op}'`);
  else if (parent[last] !== value) throw new Error(`${path} is ${String(parent[last])}`);
}

function setImage(resources: readonly Resource[], image: Image): void {
  for (const resource of resources)
    for (const container of containersOf(resource))
      if (container.image.split(':')[0] === image.name)
        container.image = `${image.newName}:${image.newTag}`;
}

export interface Container {
  readonly name: string;
  image: string;
  readonly restartPolicy?: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly terminationMessagePolicy?: string;
  readonly env?: readonly { name: string; value?: string; valueFrom?: unknown }[];
  readonly envFrom?: readonly { configMapRef: { name: string } }[];
  readonly ports?: readonly unknown[];
  readonly resources: { requests?: Record<string, string>; limits?: Record<string, string> };
  readonly securityContext: {
    readonly runAsNonRoot?: boolean;
    readonly runAsUser?: number;
    readonly privileged?: boolean;
    readonly allowPrivilegeEscalation?: boolean;
    readonly readOnlyRootFilesystem?: boolean;
    readonly capabilities: { drop?: readonly string[]; add?: readonly string[] };
  };
  readonly volumeMounts?: readonly { name: string; mountPath: string }[];
  readonly startupProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly livenessProbe?: Probe;
}

export interface Probe {
  readonly exec: { command: readonly string[] };
  readonly timeoutSeconds?: number;
  readonly httpGet?: { host?: string; path: string; port: number };
}

export interface Volume {
  readonly name: string;
  readonly configMap?: {
    name: string;
    optional?: boolean;
    items?: readonly { key: string; path: string }[];
  };
  readonly hostPath?: { path: string; type: string };
  readonly projected?: { sources: readonly Record<string, unknown>[] };
}

export interface PodSpec {
  readonly hostNetwork?: boolean;
  readonly dnsPolicy?: string;
  readonly priorityClassName?: string;
  readonly serviceAccountName?: string;
  readonly automountServiceAccountToken?: boolean;
  readonly securityContext?: { seccompProfile?: { type: string } };
  readonly initContainers?: readonly Container[];
  readonly containers: readonly Container[];
  readonly volumes: readonly Volume[];
  readonly tolerations: readonly Record<string, string>[];
}

/** The pod template of a DaemonSet, undefined for other resources. */
export function podOf(resource: Resource): PodSpec | undefined {
  const spec = resource.spec as { template?: { spec: PodSpec } } | undefined;
  return spec?.template?.spec;
}

/** Every container of a resource's pods, those that run first first. */
export function containersOf(resource: Resource): readonly Container[] {
  const pod = podOf(resource);
  return pod === undefined ? [] : [...(pod.initContainers ?? []), ...pod.containers];
}
