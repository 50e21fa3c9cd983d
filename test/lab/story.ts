/** One run through the whole story, with one kind of kube-proxy. */

import { buildMuslClient } from '../support/cluster/clients/clients.ts';
import { footprint } from '../support/cluster/observe.ts';
import type { ProxyKind } from '../support/cluster/proxy/proxy.ts';
import { buildSite, DUAL_STACK } from '../support/cluster/site.ts';
import type { Report } from './report.ts';
import { clusterNames, externalNames, ipv6, libraries, traces } from './scenes/asking.ts';
import { outage, recovery } from './scenes/outage.ts';
import { beforeNodens, start } from './scenes/start.ts';
import { cleanup, stop } from './scenes/stop.ts';
import type { Stage } from './stage.ts';

/** Builds the site and what else the scenes need; the caller takes `stage.cluster` down. */
export async function setStage(proxy: ProxyKind, report: Report): Promise<Stage> {
  const site = await buildSite(proxy, DUAL_STACK);
  try {
    return { ...site, report, musl: await buildMuslClient(site.cluster.runDir) };
  } catch (error) {
    site.cluster.down();
    throw error;
  }
}

export async function tell(stage: Stage): Promise<void> {
  await beforeNodens(stage);
  const before = await footprint(stage.cluster.node);
  const running = await start(stage);
  await clusterNames(stage);
  await externalNames(stage);
  await ipv6(stage);
  await libraries(stage);
  await traces(stage);
  await outage(stage);
  await recovery(stage);
  await stop(stage, running);
  await cleanup(stage, before);
}
