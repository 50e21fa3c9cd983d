/** Input of `nodens check`: options, environment and files as the agent would find them. */
import { readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { systemClock } from '../base/clock.ts';
import { errnoOf, messageOf, UsageError } from '../base/errors.ts';
import type { Environment } from '../config/corefile/env.ts';
import type { ConfigFiles } from '../config/corefile/imports.ts';
import { fileOf, openFile, systemFiles } from '../config/files.ts';
import { serviceHostVariable, serviceIpOf } from '../config/placeholders.ts';
import type { AgentOptions } from '../daemon/options.ts';
import type { Files, OpenFile } from '../query/services/files.ts';
import type { Locate } from './check/findings.ts';
import type { CheckFlags } from './check-flags.ts';
import type { Manifest } from './manifest.ts';
import { agentOptions, type FlagValues, parseFlags } from './options.ts';
import { given } from './running-agent.ts';

/** What `check` examines. The flags decide whether it comes from this machine, from FILE or from a manifest. */
export interface Subject {
  readonly options: AgentOptions;
  readonly env: Environment;
  readonly files: ConfigFiles;
  /** `Files.open` for the files that the agent would find. */
  readonly open: Files['open'];
  /** Whether an agent would read this elsewhere, in a pod, where other files may exist. */
  readonly isElsewhere?: boolean;
  /** Of a manifest: the place of its own that a place in a mounted file has. */
  readonly locate?: Locate;
}

/** Thrown for a file that the check cannot see, although the agent may have it. */
export class UnseenFileError extends Error {}

/** A configuration to examine, or pods without one, and what was found in the manifest around it. */
export interface Examined {
  readonly subject: Subject | undefined;
  readonly podWarnings: Manifest['podWarnings'];
}

const NO_PODS: Manifest['podWarnings'] = [];

/** Placeholders for values that only a cluster has (RFC 5737; the local address of the stock manifest). */
const LOCAL_IP = '169.254.20.10';
const DNS_SERVER = '192.0.2.10';
const UPSTREAM = '192.0.2.53';
const RESOLVER = '198.51.100.53';
const RESOLV_CONF = '/etc/resolv.conf';

function subjectWith(
  options: AgentOptions,
  env: Environment,
  files: ConfigFiles,
  open: Files['open'] = (path) => openFile(path, systemClock),
): Subject {
  return { options, env: withUpstreamService(options, env), files, open };
}

/** Text of a file that a plugin names; a missing /etc/resolv.conf is replaced by one with a placeholder address. */
export function readForPlugin({ files, isElsewhere }: Subject, path: string): string {
  try {
    return files.read(path);
  } catch (error) {
    if (path === RESOLV_CONF) return `nameserver ${RESOLVER}\n`;
    if (isElsewhere === true && posix.isAbsolute(path) && errnoOf(error) === 'ENOENT')
      throw new UnseenFileError(`this machine has no ${path}, the agent's container must have it`);
    throw error;
  }
}

/**
 * `running` are the flags of the agent in whose container this runs; they apply unless the command line sets them.
 * `isElsewhere` is true where no agent runs: a Corefile that is named is probably for another machine. Throws UsageError for a
 * file that is unreadable or contains no configuration.
 */
export async function subjectOf(
  flags: CheckFlags,
  running: FlagValues | undefined,
  isElsewhere: boolean,
): Promise<Examined> {
  const { file, isManifest } = flags;
  const values = { ...given(running ?? {}), ...given(flags.values) };
  if (file === undefined)
    return corefileAlone(subjectWith(agentOptions(values), process.env, systemFiles));
  const text = readSubject(file);
  if (isManifest || isYamlName(file) || (file === '-' && YAML.test(text)))
    return await manifestSubject(text, flags);
  const path = file === '-' ? '/dev/stdin' : file;
  const files = file === '-' ? overlayFiles({ [path]: text }, systemFiles) : systemFiles;
  const options = agentOptions({ localip: LOCAL_IP, ...values, basecorefile: path });
  // Our Corefile takes its domain from this variable, which the containers get from their settings.
  const env = { CLUSTER_DOMAIN: flags.clusterDomain, ...process.env };
  const subject = subjectWith({ ...options, confPath: undefined }, env, files);
  return corefileAlone({ ...subject, isElsewhere });
}

const corefileAlone = (subject: Subject): Examined => ({ subject, podWarnings: NO_PODS });

/** Whether a file of this name is a manifest. */
export function isYamlName(file: string): boolean {
  return /\.(ya?ml|json)$/.test(file);
}

/** What kubectl and Helm print: a resource's first fields, or JSON. A Corefile has neither at the start of a line. */
const YAML = /^(?:apiVersion|kind|items):|^\s*\{\s*"/m;

function readSubject(file: string): string {
  try {
    return file === '-' ? readFileSync(0, 'utf8') : systemFiles.read(file);
  } catch (error) {
    throw new UsageError(`cannot read ${file}: ${messageOf(error)}`);
  }
}

/**
 * What the agent would find in its container; values of the cluster are replaced by placeholders if the YAML lacks
 * them.
 */
async function manifestSubject(
  text: string,
  { values, file = '', clusterDomain }: CheckFlags,
): Promise<Examined> {
  const { readManifest } = await import('./manifest.ts');
  const { view, locate, podWarnings } = readManifest(text, file === '-' ? '/dev/stdin' : file);
  if (view === undefined) return { subject: undefined, podWarnings };
  const argv = view.argv.map((word) =>
    word
      .replaceAll('__PILLAR__LOCAL__DNS__', LOCAL_IP)
      .replaceAll('__PILLAR__DNS__SERVER__', DNS_SERVER)
      .replaceAll('__PILLAR__DNS__DOMAIN__', clusterDomain),
  );
  const { values: own } = parseFlags(argv, 'drop-in');
  const options = agentOptions({ localip: LOCAL_IP, ...given(own), ...given(values) });
  // The stock manifest before sed: the domain in its Corefile is as unfilled as the addresses of its command line.
  const isTemplate = view.argv.some((word) => word.includes('__PILLAR__'));
  const filledIn = ([path, text]: [string, string]): [string, string] => [
    path,
    text.replaceAll('__PILLAR__DNS__DOMAIN__', clusterDomain),
  ];
  const mounted = isTemplate
    ? Object.fromEntries(Object.entries(view.files).map(filledIn))
    : view.files;
  const files = overlayFiles(mounted, {
    read: (path) => {
      if (view.unseen.some((mount) => path === mount || path.startsWith(`${mount}/`)))
        throw new UnseenFileError(`${path} is mounted from what this manifest does not contain`);
      throw new Error(`the manifest mounts no ${path}`);
    },
    list: () => [],
    kind: () => undefined,
  });
  const named = view.corefile === undefined ? options : { ...options, basePath: view.corefile };
  const open = (path: string): Promise<OpenFile> =>
    Promise.resolve().then(() => fileOf(Buffer.from(files.read(path)), path));
  return { subject: { ...subjectWith(named, view.env, files, open), locate }, podWarnings };
}

/** Only the cluster knows a Service's address: an address of RFC 5737 replaces it. */
function withUpstreamService({ upstreamService }: AgentOptions, env: Environment): Environment {
  if (serviceIpOf(upstreamService, env) !== undefined) return env;
  return { ...env, [serviceHostVariable(upstreamService)]: UPSTREAM };
}

/** `texts` by absolute path, before other files. Directories are implied by the paths. */
function overlayFiles(texts: Readonly<Record<string, string>>, beneath: ConfigFiles): ConfigFiles {
  const paths = Object.keys(texts);
  const below = (dir: string): string[] =>
    paths.filter((path) => path.startsWith(dir === '/' ? '/' : `${dir}/`));
  return {
    read: (path) => texts[path] ?? beneath.read(path),
    list: (dir) => {
      const names = below(dir).map((path) => posix.relative(dir, path).split('/')[0] as string);
      return names.length > 0 ? [...new Set(names)] : beneath.list(dir);
    },
    kind: (path) => {
      if (texts[path] !== undefined) return 'file';
      return below(path).length > 0 ? 'directory' : beneath.kind(path);
    },
  };
}
