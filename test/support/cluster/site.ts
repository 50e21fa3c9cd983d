/** A cluster with nodens ready to be started on its node. */

import { dig } from './clients/dig.ts';
import { Cluster } from './cluster.ts';
import type { LocalAddresses } from './manifests.ts';
import type { Netns } from './netns.ts';
import { metrics, total } from './observe.ts';
import { V4, V6 } from './plan.ts';
import { METRICS_URL, Nodens } from './process/nodens.ts';
import type { Daemon } from './process/process.ts';
import { programs } from './process/programs.ts';
import { until } from './process/wait.ts';
import type { ProxyKind } from './proxy/proxy.ts';

export interface Site {
  readonly cluster: Cluster;
  readonly nodens: Nodens;
}

export interface Running {
  readonly init: Daemon;
  readonly agent: Daemon;
}

const IPV4_ONLY: LocalAddresses = { linkLocal: [V4.local], vips: [V4.vip] };

/** Local IPs of both families. */
export const DUAL_STACK: LocalAddresses = {
  linkLocal: [V4.local, V6.local],
  vips: [V4.vip, V6.vip],
};

/** Brings a cluster up; the caller takes it down. */
export async function buildSite(proxy: ProxyKind, addresses = IPV4_ONLY): Promise<Site> {
  const cluster = await Cluster.up(proxy);
  try {
    const { node, runDir } = cluster;
    const nodens = new Nodens({ node, runDir, addresses, programs: await programs(runDir) });
    return { cluster, nodens };
  } catch (error) {
    cluster.down();
    throw error;
  }
}

/** Starts init (with more flags, if any) and agent; resolves when interception works. */
export async function startNodens(site: Site, ...initFlags: string[]): Promise<Running> {
  const init = site.nodens.startInit(...initFlags);
  const agent = site.nodens.startAgent();
  await intercepting(site, [init, agent]);
  return { init, agent };
}

let asked = 0;

/** Resolves when the agent, not kube-proxy's path, answers a pod on the VIP: kube-dns gets no query from the pod's address. */
export async function intercepting({ cluster }: Site, daemons: readonly Daemon[]): Promise<void> {
  const logs = (): string =>
    daemons.map((daemon) => `--- ${daemon.name}\n${daemon.tail()}`).join('\n');
  await until(
    'the agent to answer a pod on the VIP',
    async () => {
      const dead = daemons.find((daemon) => !daemon.running);
      if (dead !== undefined) {
        throw new Error(`${dead.name} exited with ${dead.exitCode}\n${logs()}`);
      }
      const name = `led-${++asked}.any.default.svc.cluster.local`;
      const { status } = await dig(cluster.pods[0], { server: V4.vip, name, timeoutSeconds: 1 });
      const askers = cluster.askedAbout(name).map(({ client }) => client);
      return status !== 'TIMEOUT' && !askers.includes(V4.pods[0]);
    },
    60_000,
    logs,
  );
}

/** Requests that the agent has counted, undefined where it does not respond. */
export async function requestsServed(node: Netns): Promise<number | undefined> {
  const samples = await metrics(node, METRICS_URL).catch(() => undefined);
  return samples && total(samples, 'coredns_dns_requests_total');
}
