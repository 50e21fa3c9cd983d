/** Three agents side by side on the node, which differ in what they do about search lists, and an API server for one. */
import { writeFileSync } from 'node:fs';
import type { Cluster } from '../../support/cluster/cluster.ts';
import { metrics, type Sample, total } from '../../support/cluster/observe.ts';
import { V4 } from '../../support/cluster/plan.ts';
import { Helper } from '../../support/cluster/process/helper.ts';
import { Daemon } from '../../support/cluster/process/process.ts';
import { programs } from '../../support/cluster/process/programs.ts';
import { until } from '../../support/cluster/process/wait.ts';
import type { ApiCommand } from '../../support/kubernetes/api-process.ts';
import type { ScriptedObject } from '../../support/kubernetes/scripted-objects.ts';

export const MODES = ['plain', 'probe', 'autopath'] as const;
export type Mode = (typeof MODES)[number];

const API = new URL('../../support/kubernetes/api-process.ts', import.meta.url);
const PODS = '/api/v1/pods';
const ADDRESS_OF: Readonly<Record<Mode, string>> = {
  plain: '169.254.20.31',
  probe: '169.254.20.32',
  autopath: '169.254.20.33',
};

/** What the three servers and their upstreams were asked. */
export interface Asked {
  readonly client: number;
  readonly kubeDns: number;
  readonly internet: number;
}

/** As the manifests' Corefile, without init. */
function corefile(mode: Mode, port: number, apiUrl: string): string {
  const autopath = mode === 'autopath' ? `autopath @node {\nendpoint ${apiUrl}\n}` : '';
  return `
cluster.local:53 {
  bind ${ADDRESS_OF[mode]}
  errors
  ${autopath}
  cache {
    success 9984 30
    denial 9984 5
    ${mode === 'plain' ? '' : 'nxdomain_probe'}
  }
  forward . ${V4.upstreamVip} {
    force_tcp
  }
  prometheus 127.0.0.1:${port}
}
.:53 {
  bind ${ADDRESS_OF[mode]}
  errors
  cache 30
  forward . ${V4.resolver}
  prometheus 127.0.0.1:${port}
}
`;
}

export class SearchAgents {
  readonly #cluster: Cluster;
  readonly #api: Helper;
  readonly #agents = new Map<Mode, Daemon>();

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#api = new Helper(cluster.node, API);
  }

  /** Starts all; resolves when they serve and autopath knows the pods. */
  async start(pods: readonly ScriptedObject[]): Promise<void> {
    const { node, runDir } = this.#cluster;
    const { node: program, nodens } = await programs(runDir);
    const url = await this.#api.ask<string>({ do: 'listen' } satisfies ApiCommand);
    await this.change({ put: pods });
    for (const [index, mode] of MODES.entries()) {
      const file = `${runDir}/Corefile-${mode}`;
      writeFileSync(file, corefile(mode, portOf(index), url));
      await node.ip('addr', 'add', `${ADDRESS_OF[mode]}/32`, 'dev', 'lo');
      const argv = [program, nodens, 'agent', '-conf', file, '-basecorefile='];
      const env = { NODE_NAME: 'worker-1', NODENS_ADMIN_SOCKET: `${runDir}/${mode}.sock` };
      const logFile = `${runDir}/${mode}.log`;
      this.#agents.set(mode, new Daemon({ name: mode, netns: node, argv, logFile, env }));
    }
    for (const [mode, agent] of this.#agents)
      await until(
        `the agent ${mode}`,
        () => agent.log().includes('"serving"'),
        60_000,
        () => agent.tail(),
      );
    await until('the watch of the pods', async () => {
      const samples = await this.metrics('autopath');
      return total(samples, 'nodens_api_requests_total', 'verb="watch"') > 0;
    });
  }

  addressOf(mode: Mode): string {
    return ADDRESS_OF[mode];
  }

  /** Objects of pods that the API server forgets, and then has. */
  async change(change: {
    readonly put?: readonly ScriptedObject[];
    readonly delete?: readonly ScriptedObject[];
  }): Promise<void> {
    await this.#api.ask({ do: 'change', path: PODS, ...change } satisfies ApiCommand);
  }

  metrics(mode: Mode): Promise<Sample[]> {
    const url = `http://127.0.0.1:${portOf(MODES.indexOf(mode))}/metrics`;
    return metrics(this.#cluster.node, url);
  }

  /** What autopath did, by `result`. */
  async results(result: string): Promise<number> {
    return total(await this.metrics('autopath'), 'nodens_autopath_total', `result="${result}"`);
  }

  /** Runs `work` and returns its result, and what the agent and its upstreams were asked meanwhile. */
  async counting<T>(mode: Mode, work: () => Promise<T>): Promise<[result: T, asked: Asked]> {
    const before = await this.#asked(mode);
    const result = await work();
    const after = await this.#asked(mode);
    return [
      result,
      {
        client: after.client - before.client,
        kubeDns: after.kubeDns - before.kubeDns,
        internet: after.internet - before.internet,
      },
    ];
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#agents.values()].map((agent) => agent.stop()));
    this.#api.end();
    for (const mode of this.#agents.keys())
      await this.#cluster.node.ip('addr', 'del', `${ADDRESS_OF[mode]}/32`, 'dev', 'lo');
  }

  /** By the agent's own count of queries to each upstream: the upstreams do not see which agent asks. */
  async #asked(mode: Mode): Promise<Asked> {
    const samples = await this.metrics(mode);
    const sent = (to: string): number =>
      total(samples, 'nodens_upstream_queries_total', `to="${to}:53"`);
    return {
      client: total(samples, 'coredns_dns_requests_total'),
      kubeDns: sent(V4.upstreamVip),
      internet: sent(V4.resolver),
    };
  }
}

function portOf(index: number): number {
  return 9_301 + index;
}
