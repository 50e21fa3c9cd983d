/** init and agent as the DaemonSet runs them: who they are, what they may do, what they are told. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import type { Netns } from './netns.ts';
import { UPSTREAM_SERVICE, V4 } from './plan.ts';
import { Daemon } from './process.ts';
import { AGENT_ID, type Programs } from './programs.ts';
import type { Ran } from './run.ts';

/** What a container runtime leaves root, plus what the stock DaemonSet adds. */
const STOCK_CAPABILITIES = [
  ...['chown', 'dac_override', 'fowner', 'fsetid', 'kill', 'setgid', 'setuid', 'setpcap'],
  ...['net_bind_service', 'net_raw', 'sys_chroot', 'mknod', 'audit_write', 'setfcap'],
  'net_admin',
];

export interface NodensOptions {
  readonly node: Netns;
  readonly programs: Programs;
  readonly runDir: string;
  readonly localIps: readonly string[];
  /** Text of the ConfigMap's Corefile, as the installer left it. */
  readonly corefile: string;
}

/** The node's nodens: start and stop init and agent, in either shape. */
export class Nodens {
  readonly #options: NodensOptions;
  readonly #dir: string;
  #started = 0;

  constructor(options: NodensOptions) {
    this.#options = options;
    this.#dir = `${options.runDir}/nodens`;
    mkdirSync(`${this.#dir}/coredns`, { recursive: true });
    mkdirSync(`${this.#dir}/run`, { recursive: true });
    // The volume both containers share, and the one the agent writes its Corefile to.
    chmodSync(`${this.#dir}/run`, 0o777);
    writeFileSync(`${this.#dir}/coredns/Corefile.base`, options.corefile);
  }

  /** init as the native sidecar: root, NET_ADMIN and nothing else. */
  startInit(...flags: readonly string[]): Daemon {
    return this.#start('init', [...this.#initArgv(), '--socket', this.#socket, ...flags]);
  }

  /** The agent as its container runs it: uid 65532, NET_BIND_SERVICE and nothing else. */
  startAgent(...flags: readonly string[]): Daemon {
    const { programs } = this.#options;
    const capability = '-all,+net_bind_service';
    return this.#start('agent', [
      ...['setpriv', '--reuid', AGENT_ID, '--regid', AGENT_ID, '--clear-groups', '--no-new-privs'],
      ...['--inh-caps', capability, '--ambient-caps', capability, '--bounding-set', capability],
      ...[programs.node, programs.agent, ...this.#agentFlags(), '--socket', this.#socket, ...flags],
    ]);
  }

  /** Both in one process tree, started by node-local-dns's own arguments as root. */
  startDropIn(...flags: readonly string[]): Daemon {
    const { programs } = this.#options;
    const capabilities = `-all,${STOCK_CAPABILITIES.map((name) => `+${name}`).join(',')}`;
    return this.#start('drop-in', [
      ...['setpriv', '--bounding-set', capabilities],
      ...[programs.node, programs.agent, ...this.#agentFlags(), ...flags],
    ]);
  }

  /** `nodens init --cleanup` on this node. */
  cleanup(): Promise<Ran> {
    return this.#options.node.run([...this.#initArgv(), '--cleanup'], { timeoutMs: 30_000 });
  }

  get #socket(): string {
    return `${this.#dir}/run/nodens.sock`;
  }

  #initArgv(): string[] {
    const { programs, localIps } = this.#options;
    return [
      ...['setpriv', '--bounding-set', '-all,+net_admin', '--no-new-privs'],
      ...[programs.node, programs.init, '--localip', localIps.join(',')],
    ];
  }

  #agentFlags(): string[] {
    return [
      ...['-localip', this.#options.localIps.join(','), '-conf', `${this.#dir}/run/Corefile`],
      ...['-basecorefile', `${this.#dir}/coredns/Corefile.base`, '-upstreamsvc', UPSTREAM_SERVICE],
    ];
  }

  #start(name: string, argv: readonly string[]): Daemon {
    this.#started += 1;
    return new Daemon({
      name,
      netns: this.#options.node,
      argv,
      logFile: `${this.#dir}/${name}-${this.#started}.log`,
      // The kubelet sets one such variable for each Service of the pod's namespace.
      env: { KUBE_DNS_UPSTREAM_SERVICE_HOST: V4.upstreamVip },
    });
  }
}
