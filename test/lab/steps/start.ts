/** Before nodens kube-proxy serves the VIP; then init and agent start, and interception begins. */

import { dig } from '../../support/cluster/clients/dig.ts';
import type { Container } from '../../support/cluster/manifests.ts';
import {
  clientEntries,
  forgetClients,
  type Privileges,
  privileges,
  routeSource,
} from '../../support/cluster/observe.ts';
import { V4 } from '../../support/cluster/plan.ts';
import { type Running, startNodens } from '../../support/cluster/site.ts';
import type { LabFixture } from '../fixture.ts';

export async function beforeNodens({ cluster, report }: LabFixture): Promise<void> {
  report.step('A node without nodens: kube-proxy hands the VIP to a kube-dns pod');
  const name = 'before.any.default.svc.cluster.local';
  const { status } = await dig(cluster.pods[0], { server: V4.vip, name });
  report.same(`pod1 asks ${V4.vip}`, status, 'NOERROR');
  const way = cluster.wayOf(name);
  report.holds(
    'upstream queries for it',
    /^dns[12] udp$/.test(way.join()),
    way,
    'dns1 or dns2, udp',
  );
  const entries = await clientEntries(cluster.node, V4.pods[0]);
  report.holds('conntrack entries of pod1', entries.length > 0, entries.length, 'at least 1');
}

export async function start(fixture: LabFixture): Promise<Running> {
  const { cluster, nodens, report } = fixture;
  report.step('init and agent start, as the DaemonSet runs them');
  const running = await startNodens(fixture);
  const { init, agent } = running;
  const manifest = nodens.containers;
  report.same('init runs as', privileges(init.pid), rightsOf(manifest.init));
  report.same('agent runs as', privileges(agent.pid), rightsOf(manifest.agent));
  const addresses = await cluster.node.ip('-4', '-o', 'addr', 'show', 'scope', 'host');
  for (const local of [V4.local, V4.vip]) {
    report.holds(
      `${local} is on the node`,
      addresses.includes(` ${local}/32 `),
      'scope host',
      'scope host',
    );
  }
  const source = await routeSource(cluster.node, V4.unnumbered);
  report.holds(
    'source address on a link without one',
    source !== V4.local && source !== V4.vip,
    source,
    'no local IP',
  );
  // Entries from before interception would otherwise count as ours.
  await forgetClients(cluster.node);
  return running;
}

function rightsOf({ uid, capabilities }: Container): Privileges {
  return { uid, capabilities: [...capabilities].sort() };
}
