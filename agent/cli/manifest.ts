/**
 * Reads a Kubernetes manifest (one or many documents, `kubectl get -o yaml` lists, rendered kustomize or Helm) and
 * returns what the agent would find in its container: command line, environment and files.
 */
import { posix } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { UsageError } from '../base/errors.ts';
import type { Environment } from '../config/corefile/env.ts';

/** The agent's container as the manifest describes it. */
export interface ContainerView {
  readonly argv: readonly string[];
  readonly env: Environment;
  /** Text of every mounted file by absolute path. */
  readonly files: Readonly<Record<string, string>>;
  /** Path of the Corefile if the command line has none. */
  readonly corefile: string | undefined;
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

interface Resource extends ConfigMap {
  readonly items?: readonly Resource[];
  readonly spec?: {
    readonly template?: {
      readonly spec?: {
        readonly containers?: readonly Container[];
        readonly volumes?: readonly Volume[];
      };
    };
  };
}

/** Path of a Corefile that has no container. */
const LOOSE = '/etc/coredns';

/** Throws UsageError for text that is not YAML or contains no Corefile. */
export function readManifest(text: string, file: string): ContainerView {
  const documents = parseAllDocuments(text);
  const found: Resource[] = [];
  for (const document of 'empty' in documents ? [] : documents) {
    const [fault] = document.errors;
    if (fault !== undefined) throw new UsageError(`${file}: ${fault.message}`);
    found.push(...flatten(document.toJS({ maxAliasCount: 100 }) as Resource | null));
  }
  const maps = new Map(
    found
      .filter(({ kind }) => kind === 'ConfigMap')
      .map(({ metadata, data }) => [metadata?.name ?? '', data ?? {}]),
  );
  return agentContainer(found, maps) ?? looseCorefile(maps, file);
}

function flatten(resource: Resource | null): Resource[] {
  if (resource === null || typeof resource !== 'object') return [];
  return Array.isArray(resource.items) ? resource.items.flatMap(flatten) : [resource];
}

type Maps = ReadonlyMap<string, Readonly<Record<string, string>>>;

/** The first container that starts with a Corefile. */
function agentContainer(resources: readonly Resource[], maps: Maps): ContainerView | undefined {
  for (const { spec } of resources) {
    const pod = spec?.template?.spec;
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
        corefile: undefined,
      };
    }
  }
  return undefined;
}

function environment(container: Container, maps: Maps): Environment {
  const env: Record<string, string> = {};
  for (const { configMapRef } of container.envFrom ?? []) {
    Object.assign(env, maps.get(configMapRef?.name ?? ''));
  }
  for (const { name, value, valueFrom } of container.env ?? []) {
    const ref = valueFrom?.configMapKeyRef;
    const text = value ?? maps.get(ref?.name ?? '')?.[ref?.key ?? ''];
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
    const data = maps.get(source?.name ?? '') ?? {};
    const items = source?.items ?? Object.keys(data).map((key) => ({ key, path: key }));
    for (const { key, path } of items) {
      const text = data[key];
      if (text === undefined || (subPath !== undefined && subPath !== path)) continue;
      files[subPath === undefined ? posix.join(mountPath, path) : mountPath] = text;
    }
  }
  return files;
}

/** A ConfigMap alone: all its keys in one folder. */
function looseCorefile(maps: Maps, file: string): ContainerView {
  for (const data of maps.values()) {
    const key = ['Corefile', 'Corefile.base'].find((name) => data[name] !== undefined);
    if (key === undefined) continue;
    const files = Object.fromEntries(
      Object.entries(data).map(([name, text]) => [posix.join(LOOSE, name), text]),
    );
    const kubeDns = Object.entries(maps.get('kube-dns') ?? {}).map(([name, text]) => [
      posix.join('/etc/kube-dns', name),
      text,
    ]);
    Object.assign(files, Object.fromEntries(kubeDns));
    return { argv: [], env: {}, files, corefile: posix.join(LOOSE, key) };
  }
  throw new UsageError(
    `${file} contains neither a ConfigMap with a Corefile nor a pod that mounts one`,
  );
}
