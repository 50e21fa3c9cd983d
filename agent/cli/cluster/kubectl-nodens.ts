/**
 * `kubectl nodens COMMAND`: a plugin of kubectl. `status` shows all nodes; any other command runs in the pod of a node.
 * kubectl reaches the cluster, so every way to log in works that kubectl knows.
 */
import { spawn } from 'node:child_process';
import { messageOf, NodensError, UsageError } from '../../base/errors.ts';
import { ADMIN_COMMANDS } from '../../base/flags/types.ts';
import { nearest } from '../../base/text/nearest.ts';
import { statusCommand } from '../commands/status.ts';
import { kubectlApi, listed, type ReadApi } from './api.ts';
import { podRow } from './pods.ts';

/** Flags of the plugin itself, in front of or behind the command. */
interface PluginFlags {
  /** For kubectl. */
  readonly kubectl: readonly string[];
  readonly namespace: string;
  readonly selector: string;
  readonly node: string | undefined;
  readonly pod: string | undefined;
  readonly container: string;
  readonly rest: readonly string[];
}

const REMOTE = [...ADMIN_COMMANDS, 'check', 'doctor'];

/** What `kubectl nodens --help` prints. */
export const PLUGIN_HELP = `kubectl nodens: nodens in a cluster

  kubectl nodens status [-wait]              every node, worst first; exit code for scripts
  kubectl nodens COMMAND -node NODE [...]    a command of nodens in the pod of that node
  kubectl nodens COMMAND -pod POD [...]      or in that pod

Commands: ${REMOTE.join(', ')}. nodens COMMAND --help explains each.

  -node NODE        the node whose pod is asked
  -pod POD          the pod that is asked
  -namespace NAME   of the pods (default kube-system); -n as well. Behind explain -namespace is a flag of explain
  -selector LABELS  of the pods (default k8s-app=nodens)
  -container NAME   in which the command runs (default agent; init for doctor)
  -context NAME, -kubeconfig FILE   for kubectl

Examples:
  kubectl nodens status -wait -wait-duration 10m
  kubectl nodens query web.default.svc.cluster.local -trace -node worker-1
  kubectl nodens top -node worker-1
  kubectl nodens support -node worker-1 > worker-1.tar.gz

It needs list of pods, and for other commands than status create of pods/exec.
Exit code: that of the command, 1 kubectl failed, 2 wrong usage, 3 the API server cannot be read.
`;

/** Resolves to the exit code. */
export async function pluginMain(argv: readonly string[]): Promise<number> {
  try {
    return await run(argv);
  } catch (error) {
    process.stderr.write(`kubectl nodens: ${messageOf(error)}\n`);
    if (error instanceof UsageError) return 2;
    return error instanceof NodensError ? 3 : 1;
  }
}

async function run(argv: readonly string[]): Promise<number> {
  const flags = pluginFlags(argv);
  const [command = '', ...args] = flags.rest;
  if (command === '' || command === 'help' || /^--?h(elp)?$/.test(command)) {
    process.stdout.write(PLUGIN_HELP);
    return command === '' ? 2 : 0;
  }
  if (!REMOTE.includes(command)) {
    const meant = nearest(command, REMOTE);
    throw new UsageError(
      `"${command}" is none of ${REMOTE.join(', ')}${meant === undefined ? '' : `: did you mean "${meant}"?`}`,
    );
  }
  const api = kubectlApi(flags.kubectl);
  const isOfOne = flags.node !== undefined || flags.pod !== undefined;
  if (command === 'status' && !isOfOne) {
    const scope = ['-all', '-namespace', flags.namespace, '-selector', flags.selector];
    return await statusCommand([...scope, ...args], api);
  }
  const pod = flags.pod ?? (await podOn(api, flags));
  return await executed(pod, command, args, flags);
}

/** Takes the plugin's own flags out. Throws UsageError for one without a value. */
export function pluginFlags(argv: readonly string[]): PluginFlags {
  const own = new Map<string, string>();
  const rest: string[] = [];
  const aliases: Readonly<Record<string, string>> = {
    n: 'namespace',
    c: 'container',
    l: 'selector',
  };
  const names = ['node', 'pod', 'namespace', 'selector', 'container', 'context', 'kubeconfig'];
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] as string;
    const [, text = '', attached] = /^--?([a-z]+)(?:=(.*))?$/.exec(word) ?? [];
    const name = aliases[text] ?? text;
    // `explain` has a -namespace of its own, that of the pod whose lookup it explains.
    const isOfCommand = text === 'namespace' && rest[0] === 'explain';
    if (!names.includes(name) || isOfCommand) {
      rest.push(word);
      continue;
    }
    const value = attached ?? argv[++at];
    if (value === undefined || value === '') throw new UsageError(`flag -${text} needs a value`);
    own.set(name, value);
  }
  const toKubectl = ['context', 'kubeconfig'].flatMap((name) =>
    own.has(name) ? [`--${name}=${own.get(name)}`] : [],
  );
  return {
    ...{ kubectl: toKubectl, rest, node: own.get('node'), pod: own.get('pod') },
    namespace: own.get('namespace') ?? 'kube-system',
    selector: own.get('selector') ?? 'k8s-app=nodens',
    container: own.get('container') ?? (rest[0] === 'doctor' ? 'init' : 'agent'),
  };
}

async function podOn(api: ReadApi, { namespace, selector, node }: PluginFlags): Promise<string> {
  if (node === undefined) throw new UsageError('name the node: -node NODE, or the pod: -pod POD');
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods`;
  const rows = (await listed(api, path, selector)).map(podRow).filter((row) => row.node === node);
  const row = rows.find(({ isReady }) => isReady) ?? rows[0];
  if (row !== undefined) return row.pod;
  throw new UsageError(`no pod with ${selector} in ${namespace} is on node ${node}`);
}

/** Signals reach kubectl by the terminal; its exit code is that of the command. */
function executed(
  pod: string,
  command: string,
  args: readonly string[],
  { kubectl, namespace, container }: PluginFlags,
): Promise<number> {
  const isTerminal = process.stdin.isTTY === true && process.stdout.isTTY === true;
  const where = ['-n', namespace, pod, '-c', container];
  const argv = ['exec', ...(isTerminal ? ['-it'] : []), ...where, '--', 'nodens', command, ...args];
  return new Promise((resolve, reject) => {
    process.on('SIGINT', () => undefined);
    const child = spawn('kubectl', [...kubectl, ...argv], { stdio: 'inherit' });
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? 1));
  });
}
