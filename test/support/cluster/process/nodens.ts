/** init and agent as their containers run them: the arguments, user and capabilities of the manifests. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import {
  type Container,
  type LocalAddresses,
  type OurDaemonSet,
  ourDaemonSet,
  stockDaemonSet,
} from '../manifests.ts';
import type { Netns } from '../netns.ts';
import { V4 } from '../plan.ts';
import { Daemon } from './process.ts';
import type { Programs } from './programs.ts';
import type { Ran } from './run.ts';

/** The capabilities that a container runtime leaves to root by default. */
const DEFAULT_CAPABILITIES = [
  ...['chown', 'dac_override', 'fowner', 'fsetid', 'kill', 'setgid', 'setuid', 'setpcap'],
  ...['net_bind_service', 'net_raw', 'sys_chroot', 'mknod', 'audit_write', 'setfcap'],
];

/** Where the manifests' Corefile serves metrics, for programs on the node. */
export const METRICS_URL = 'http://127.0.0.1:9253/metrics';

export interface NodensOptions {
  readonly node: Netns;
  readonly programs: Programs;
  readonly runDir: string;
  /** The node's folder for snapshots, which pods share; its own one where there is only one pod. */
  readonly stateDir?: string;
  readonly addresses: LocalAddresses;
}

/** Starts init and agent on the node, or both as a drop-in; cleans up. */
export class Nodens {
  readonly #options: NodensOptions;
  readonly #dir: string;
  #started = 0;

  constructor(options: NodensOptions) {
    this.#options = options;
    this.#dir = `${options.runDir}/nodens`;
    for (const volume of ['coredns', 'run', 'tmp'])
      mkdirSync(`${this.#dir}/${volume}`, { recursive: true });
    // Every user may write to an emptyDir.
    for (const volume of ['run', 'tmp']) chmodSync(`${this.#dir}/${volume}`, 0o777);
    // As the kubelet creates a hostPath.
    mkdirSync(this.stateDir, { recursive: true, mode: 0o755 });
  }

  get stateDir(): string {
    return this.#options.stateDir ?? `${this.#dir}/state`;
  }

  /** Both containers as the manifests have them. */
  get containers(): OurDaemonSet {
    return ourDaemonSet(this.#options.addresses);
  }

  /** init as the native sidecar. */
  startInit(...flags: readonly string[]): Daemon {
    const { init, env } = this.containers;
    return this.#start('init', [...asContainer(init), ...this.#initArgv(init), ...flags], env);
  }

  /**
   * The agent as its container: an unprivileged user whose launcher made its capability ambient. `edit` is what the
   * operator changed in the Corefile.
   */
  startAgent(edit = (corefile: string): string => corefile): Daemon {
    const { agent, env } = this.containers;
    this.editCorefile(edit);
    const { programs } = this.#options;
    const argv = [programs.node, programs.nodens, ...this.#placed(agent.args)];
    return this.#start('agent', [...asContainer(agent), ...argv], env);
  }

  /** An edit of the ConfigMap: applied to the Corefile of the manifests. */
  editCorefile(edit: (corefile: string) => string): void {
    this.#mountCorefile(edit(this.containers.corefile));
  }

  /** node-local-dns's own DaemonSet: one container whose process starts init and agent. */
  startDropIn(): Daemon {
    const { container, corefile } = stockDaemonSet();
    this.#mountCorefile(corefile);
    const { programs } = this.#options;
    const argv = [programs.node, programs.nodens, ...this.#placed(container.args)];
    const template = ['-basecorefile', `${this.#dir}/coredns/Corefile.base`];
    const capabilities = [...DEFAULT_CAPABILITIES, ...container.capabilities];
    const rights = asContainer({ ...container, capabilities });
    return this.#start('drop-in', [...rights, ...argv, ...template], {});
  }

  /** `nodens init --cleanup` with the rights and addresses of the init container. */
  cleanup(): Promise<Ran> {
    return this.#once('--cleanup');
  }

  /** `nodens init --observe`, likewise. */
  observe(): Promise<Ran> {
    return this.#once('--observe');
  }

  #once(mode: string): Promise<Ran> {
    const { init } = this.containers;
    const argv = [...asContainer(init), ...this.#initArgv(init), mode];
    return this.#options.node.run(argv, { timeoutMs: 60_000 });
  }

  #initArgv(init: Container): string[] {
    const { programs } = this.#options;
    return [programs.node, programs.nodens, ...this.#placed(init.args)];
  }

  #mountCorefile(corefile: string): void {
    writeFileSync(`${this.#dir}/coredns/Corefile.base`, this.#placed([corefile]).join());
  }

  /** Containers have a file system each, clusters in namespaces share one: its volumes are directories of the test. */
  #placed(args: readonly string[]): string[] {
    return args.map((arg) =>
      arg
        .replace('/etc/coredns/', `${this.#dir}/coredns/`)
        .replaceAll('/run/nodens/', `${this.#dir}/run/`)
        .replace('/var/lib/nodens', this.stateDir)
        .replace('/etc/Corefile', `${this.#dir}/run/Corefile`)
        .replace(/^\/tmp\//, `${this.#dir}/tmp/`),
    );
  }

  #start(name: string, argv: readonly string[], env: Readonly<Record<string, string>>): Daemon {
    this.#started += 1;
    return new Daemon({
      name,
      netns: this.#options.node,
      argv,
      logFile: `${this.#dir}/${name}-${this.#started}.log`,
      // The kubelet sets one such variable for each Service of the pod's namespace.
      env: {
        ...env,
        // /run belongs to the container; here it would be that of the machine.
        NODENS_CONTROL_SOCKET: `${this.#dir}/run/control.sock`,
        NODENS_ADMIN_SOCKET: `${this.#dir}/run/admin.sock`,
        KUBE_DNS_UPSTREAM_SERVICE_HOST: V4.upstreamVip,
        NODENS_UPSTREAM_SERVICE_HOST: V4.upstreamVip,
      },
    });
  }
}

/** The runtime's part for a user other than root: capabilities, and the launcher's: ambient ones. */
function asContainer({ uid, gid, capabilities, mayEscalate }: Container): string[] {
  const set = ['-all', ...capabilities.map((name) => `+${name}`)].join(',');
  const group = ['--regid', `${gid}`, '--clear-groups'];
  const user = ['--reuid', `${uid}`, ...group];
  const ambient = ['--inh-caps', set, '--ambient-caps', set];
  return [
    ...['setpriv', '--bounding-set', set],
    ...(uid === 0 ? group : [...user, ...ambient]),
    ...(mayEscalate ? [] : ['--no-new-privs']),
  ];
}
