/** One run through the whole scenario, with one kind of kube-proxy. */

import { buildGlibcClient, buildMuslClient } from '../support/cluster/clients/clients.ts';
import { footprint } from '../support/cluster/observe.ts';
import type { ProxyKind } from '../support/cluster/proxy/proxy.ts';
import { buildSite, DUAL_STACK } from '../support/cluster/site.ts';
import type { LabFixture } from './fixture.ts';
import type { Report } from './report.ts';
import { clusterNames, externalNames, ipv6, libraries, traces } from './steps/asking.ts';
import { outage, recovery } from './steps/outage.ts';
import { beforeNodens, start } from './steps/start.ts';
import { cleanup, stop } from './steps/stop.ts';

/** Builds the site and what else the steps need; the caller takes `fixture.cluster` down. */
export async function setStage(
  proxy: ProxyKind,
  report: Report,
  lookups: number,
): Promise<LabFixture> {
  const site = await buildSite(proxy, DUAL_STACK);
  const { runDir } = site.cluster;
  try {
    const [musl, glibc] = [await buildMuslClient(runDir), await buildGlibcClient(runDir)];
    return { ...site, report, musl, glibc, lookups };
  } catch (error) {
    site.cluster.down();
    throw error;
  }
}

export async function runScenario(fixture: LabFixture): Promise<void> {
  await beforeNodens(fixture);
  const before = await footprint(fixture.cluster.node);
  const running = await start(fixture);
  await clusterNames(fixture);
  await externalNames(fixture);
  await ipv6(fixture);
  await libraries(fixture);
  await traces(fixture);
  await outage(fixture);
  await recovery(fixture);
  await stop(fixture, running);
  await cleanup(fixture, before);
}
