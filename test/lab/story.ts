/** One run through the whole story, with one kind of kube-proxy. */
import type { Report } from './report.ts';
import { clusterNames, externalNames, libraries, traces } from './scenes/asking.ts';
import { outage, recovery } from './scenes/outage.ts';
import { beforeNodens, type Running, startNodens } from './scenes/start.ts';
import { cleanup, stop } from './scenes/stop.ts';
import type { Stage } from './stage.ts';
import { buildMuslClient } from './topology/clients.ts';
import { Cluster } from './topology/cluster.ts';
import { Nodens } from './topology/nodens.ts';
import { footprint } from './topology/observe.ts';
import { V4 } from './topology/plan.ts';
import { programs } from './topology/programs.ts';
import type { ProxyKind } from './topology/proxy.ts';

/** Brings a cluster up and prepares what scenes need; the caller takes `stage.cluster` down. */
export async function setStage(proxy: ProxyKind, report: Report): Promise<Stage> {
  const cluster = await Cluster.up(proxy);
  try {
    const nodens = new Nodens({
      node: cluster.node,
      programs: await programs(cluster.runDir),
      runDir: cluster.runDir,
      localIps: [V4.local, V4.vip],
    });
    return { cluster, nodens, report, musl: await buildMuslClient(cluster.runDir) };
  } catch (error) {
    cluster.down();
    throw error;
  }
}

export async function tell(stage: Stage): Promise<void> {
  await beforeNodens(stage);
  const before = await footprint(stage.cluster.node);
  const running: Running = await startNodens(stage);
  await clusterNames(stage);
  await externalNames(stage);
  await libraries(stage);
  await traces(stage);
  await outage(stage);
  await recovery(stage);
  await stop(stage, running);
  await cleanup(stage, before);
}
