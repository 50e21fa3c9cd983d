/** nodens stops, and kube-proxy's path serves the VIP at once; cleanup leaves the node as it was. */

import { OneSocketClient } from '../../support/cluster/clients/clients.ts';
import { difference, footprint } from '../../support/cluster/observe.ts';
import { V4 } from '../../support/cluster/plan.ts';
import type { Running } from '../../support/cluster/site.ts';
import type { LabFixture } from '../fixture.ts';

export async function stop(
  { cluster, report }: LabFixture,
  { init, agent }: Running,
): Promise<void> {
  report.step('SIGTERM for agent and init while a pod asks from one socket');
  const client = new OneSocketClient(cluster.pods[0], V4.vip);
  try {
    await client.ask('first.any.default.svc.cluster.local');
    const exits = [agent.stop(), init.stop()];
    const during = 'during.any.default.svc.cluster.local';
    report.same(
      'a query sent at that moment',
      await client.ask(during, 3_000),
      'NOERROR 10.96.9.9',
    );
    report.same('exit codes of agent and init', await Promise.all(exits), [0, 0]);
    const after = 'after.any.default.svc.cluster.local';
    report.same('a query after it', await client.ask(after), 'NOERROR 10.96.9.9');
    const way = cluster
      .askedAbout(after)
      .map(({ client: asker, transport }) => `${asker} ${transport}`);
    report.same('asked at kube-dns by', way, [`${V4.pods[0]} udp`]);
  } finally {
    await client.close();
  }
}

export async function cleanup(
  { cluster, nodens, report }: LabFixture,
  before: string,
): Promise<void> {
  report.step('nodens init --cleanup');
  const first = await nodens.cleanup();
  report.same('exit code', first.code, 0);
  if (first.stdout !== '') report.note(first.stdout);
  const after = await footprint(cluster.node);
  report.same('rules, addresses, links, routes as before', difference(before, after), []);
  report.same('exit code of a second run', (await nodens.cleanup()).code, 0);
}
