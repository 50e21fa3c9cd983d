/**
 * Reads a Kubernetes manifest (one or many documents, `kubectl get -o yaml` lists, rendered kustomize or Helm) and
 * returns what the agent would find in its container: command line, environment and files.
 */
import { posix } from 'node:path';
import { type Place, UsageError } from '../base/errors.ts';
import type { Environment } from '../config/corefile/env.ts';
import type { Locate } from './check/findings.ts';
import { type PodHolder, podWarnings, runsNodens } from './check/pods.ts';
import { type Found, readYaml } from './check/yaml-file.ts';

/** The agent's container as the manifest describes it. */
export interface ContainerView {
  readonly argv: readonly string[];
  readonly env: Environment;
  /** Text of every mounted file by absolute path. */
  readonly files: Readonly<Record<string, string>>;
  /** Folders and files that the container mounts from what the manifest does not contain: a Secret, the node. */
  readonly unseen: readonly string[];
  /** Path of the Corefile if the command line has none. */
  readonly corefile: string | undefined;
}

/** A manifest as `check` examines it. */
export interface Manifest {
  /** Undefined where no ConfigMap has a Corefile: the pods may be part of a kustomization that makes it. */
  readonly view: ContainerView | undefined;
  /** Place in the manifest of a place in a mounted file. */
  readonly locate: Locate;
  readonly podWarnings: readonly { readonly place: Place; readonly message: string }[];
}

interface ConfigMap {
  readonly kind?: string;
  readonly metadata?: { readonly name?: string };
  readonly data?: Readonly<Record<string, string>>;
}

interface NamedRef {
  readonly name?: string;
  readonly key?: string;
}

interface Container {
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly {
    readonly name: string;
    readonly value?: string;
    readonly valueFrom?: { readonly configMapKeyRef?: NamedRef };
  }[];
  readonly envFrom?: readonly { readonly configMapRef?: NamedRef }[];
  readonly volumeMounts?: readonly {
    readonly name: string;
    readonly mountPath: string;
    readonly subPath?: string;
  }[];
}

interface Volume {
  readonly name: string;
  readonly configMap?: NamedRef & {
    readonly items?: readonly { readonly key: string; readonly path: string }[];
  };
}

interface PodSpec {
  readonly containers?: readonly Container[];
  readonly volumes?: readonly Volume[];
}

interface Resource extends ConfigMap {
  readonly spec?: PodSpec & { readonly template?: { readonly spec?: PodSpec } };
}

/** Path of a Corefile that has no container. */
const LOOSE = '/etc/coredns';

/** Throws UsageError for text that is not YAML, or contains neither a Corefile nor a pod of nodens. */
export function readManifest(text: string, file: string): Manifest {
  const found = readYaml<Resource>(text, file);
  const sources = new Map<string, Source>();
  const maps = new Map(
    found
      .filter(({ resource }) => resource.kind === 'ConfigMap')
      .map(({ resource: { metadata, data }, ...at }) => {
        const name = metadata?.name ?? '';
        return [name, new MappedFiles(name, data ?? {}, at, sources)] as const;
      }),
  );
  const pods = (found as unknown as Found<PodHolder>[]).filter((one) => runsNodens(one.resource));
  const resources = found.map(({ resource }) => resource);
  const container = agentContainer(resources, maps);
  const hasCorefile = Object.keys(container?.files ?? {}).length > 0;
  const view = hasCorefile ? container : looseCorefile(maps);
  if (view === undefined && pods.length === 0)
    throw new UsageError(
      `${file} contains neither a ConfigMap with a Corefile nor a pod that mounts one`,
    );
  return {
    view,
    locate: (place) => sources.get(place.file)?.(place, file) ?? { place, within: '' },
    podWarnings: pods
      .flatMap((one) => [...podWarnings(one)])
      .map(({ line, message }) => ({ place: { file, line }, message })),
  };
}

type Source = (place: Place, file: string) => ReturnType<Locate>;
type Lines = Pick<Found<Resource>, 'lineOf' | 'textLineOf'>;

/** Data of a ConfigMap that remembers which of it was mounted where. */
class MappedFiles {
  readonly data: Readonly<Record<string, string>>;
  readonly #name: string;
  readonly #lines: Lines;
  readonly #sources: Map<string, Source>;

  constructor(
    name: string,
    data: Readonly<Record<string, string>>,
    lines: Lines,
    sources: Map<string, Source>,
  ) {
    this.#name = name;
    this.data = data;
    this.#lines = lines;
    this.#sources = sources;
  }

  /** Text of `key`, which a container finds at `path`. */
  mount(key: string, path: string): string | undefined {
    const text = this.data[key];
    if (text !== undefined)
      this.#sources.set(path, ({ line }, file) => {
        const start = this.#lines.textLineOf(['data', key]);
        const at = start === undefined ? this.#lines.lineOf(['data', key]) : start + line - 1;
        const within = `ConfigMap ${this.#name}, key ${key}, line ${line}`;
        return { place: { file, line: at }, within };
      });
    return text;
  }
}

type Maps = ReadonlyMap<string, MappedFiles>;

/** The first container that starts with a Corefile. */
function agentContainer(resources: readonly Resource[], maps: Maps): ContainerView | undefined {
  for (const { spec } of resources) {
    const pod = spec?.template?.spec ?? spec;
    for (const container of pod?.containers ?? []) {
      const words = [...(container.command ?? []), ...(container.args ?? [])];
      if (!words.some((word) => /^--?(conf|basecorefile)\b/.test(word))) continue;
      const env = environment(container, maps);
      const argv = words
        .slice(words.findIndex((word) => word.startsWith('-')))
        .map((word) => word.replace(/\$\(([\w.-]+)\)/g, (whole, name) => env[name] ?? whole));
      return {
        argv,
        env,
        files: mounted(container, pod?.volumes ?? [], maps),
        unseen: unseenBy(container, pod?.volumes ?? [], maps),
        corefile: undefined,
      };
    }
  }
  return undefined;
}

function environment(container: Container, maps: Maps): Environment {
  const env: Record<string, string> = {};
  for (const { configMapRef } of container.envFrom ?? []) {
    Object.assign(env, maps.get(configMapRef?.name ?? '')?.data);
  }
  for (const { name, value, valueFrom } of container.env ?? []) {
    const ref = valueFrom?.configMapKeyRef;
    const text = value ?? maps.get(ref?.name ?? '')?.data[ref?.key ?? ''];
    if (text !== undefined) env[name] = text;
  }
  return env;
}

function mounted(
  container: Container,
  volumes: readonly Volume[],
  maps: Maps,
): Record<string, string> {
  const files: Record<string, string> = {};
  for (const { name, mountPath, subPath } of container.volumeMounts ?? []) {
    const source = volumes.find((volume) => volume.name === name)?.configMap;
    const map = maps.get(source?.name ?? '');
    const items = source?.items ?? Object.keys(map?.data ?? {}).map((key) => ({ key, path: key }));
    for (const { key, path } of items) {
      if (subPath !== undefined && subPath !== path) continue;
      const place = subPath === undefined ? posix.join(mountPath, path) : mountPath;
      const text = map?.mount(key, place);
      if (text !== undefined) files[place] = text;
    }
  }
  return files;
}

function unseenBy(
  { volumeMounts = [] }: Container,
  volumes: readonly Volume[],
  maps: Maps,
): string[] {
  const isSeen = (name: string): boolean =>
    maps.has(volumes.find((volume) => volume.name === name)?.configMap?.name ?? '');
  return volumeMounts.filter(({ name }) => !isSeen(name)).map(({ mountPath }) => mountPath);
}

/** A ConfigMap alone: all its keys in one folder. */
function looseCorefile(maps: Maps): ContainerView | undefined {
  for (const map of maps.values()) {
    const key = ['Corefile', 'Corefile.base'].find((name) => map.data[name] !== undefined);
    if (key === undefined) continue;
    const files = { ...inFolder(map, LOOSE), ...inFolder(maps.get('kube-dns'), '/etc/kube-dns') };
    return { argv: [], env: {}, files, unseen: [], corefile: posix.join(LOOSE, key) };
  }
  return undefined;
}

function inFolder(map: MappedFiles | undefined, folder: string): Record<string, string> {
  const keys = Object.keys(map?.data ?? {});
  return Object.fromEntries(
    keys.map((key) => {
      const path = posix.join(folder, key);
      return [path, map?.mount(key, path) ?? ''];
    }),
  );
}
