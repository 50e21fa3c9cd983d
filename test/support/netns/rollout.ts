/** A DaemonSet's pods on one node, one after another: each has its own init, agent and volumes. */
import { mkdirSync } from 'node:fs';
import { request } from 'node:http';
import { V4 } from '../cluster/plan.ts';
import { Nodens } from '../cluster/process/nodens.ts';
import type { Daemon } from '../cluster/process/process.ts';
import { programs } from '../cluster/process/programs.ts';
import { until } from '../cluster/process/wait.ts';
import type { Site } from '../cluster/site.ts';

export interface Pod {
  readonly init: Daemon;
  readonly agent: Daemon;
  /** The socket for the kubelet's probes, in the pod's volume. */
  readonly probeSocket: string;
}

const ADDRESSES = { linkLocal: [V4.local], vips: [V4.vip] };

export class Rollout {
  readonly #site: Site;
  #pods = 0;

  constructor(site: Site) {
    this.#site = site;
  }

  /** The node's folder for snapshots, as a hostPath, which outlives a pod. */
  get stateDir(): string {
    return `${this.#site.cluster.runDir}/state`;
  }

  /** Starts a pod beside the running ones; resolves when the kubelet would mark it Ready. */
  async start(): Promise<Pod> {
    const { cluster } = this.#site;
    const runDir = `${cluster.runDir}/pod${++this.#pods}`;
    mkdirSync(runDir);
    const nodens = new Nodens({
      ...{ node: cluster.node, runDir, addresses: ADDRESSES, stateDir: this.stateDir },
      programs: await programs(runDir),
    });
    const init = nodens.startInit();
    const agent = nodens.startAgent();
    const pod = { init, agent, probeSocket: `${runDir}/nodens/run/probe.sock` };
    await until(
      `pod ${this.#pods} to be ready`,
      async () => {
        const dead = [init, agent].find((daemon) => !daemon.running);
        if (dead !== undefined) throw new Error(`${dead.name} has ended\n${dead.tail()}`);
        return (await statusOf(pod.probeSocket, '/ready')) === 200;
      },
      60_000,
      () => `${init.tail()}\n${agent.tail()}`,
    );
    return pod;
  }

  /** Ends a pod as the kubelet does: containers by SIGTERM, then sidecars. Resolves to both exit codes. */
  async end({ init, agent }: Pod): Promise<number[]> {
    const code = await agent.stop();
    return [code, await init.stop()];
  }
}

/** HTTP status of an endpoint behind a unix socket, undefined where no process listens. */
export function statusOf(socketPath: string, path: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    request({ socketPath, path, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on('error', () => resolve(undefined))
      .end();
  });
}
