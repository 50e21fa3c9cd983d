/** `--shell`: the cluster stays up with nodens running, for manual tests. */
import { once } from 'node:events';
import { V4 } from '../support/cluster/plan.ts';
import type { LabFixture } from './fixture.ts';
import { start } from './steps/start.ts';

/** Starts nodens, says how to get in, and returns when Enter is pressed. */
export async function leaveUp(fixture: LabFixture): Promise<void> {
  const { cluster, report } = fixture;
  await start(fixture);
  const [pod1, pod2] = cluster.pods;
  const web = 'web.default.svc.cluster.local';
  report.act('The cluster is up');
  report.note(
    [
      `namespaces   ${cluster.namespaces.map((netns) => netns.name).join(' ')}`,
      `logs         ${cluster.runDir}/nodens/*.log, ${cluster.runDir}/*/*.log`,
      '',
      `enter pod1   sudo ip netns exec ${pod1.name} bash`,
      `ask          sudo ip netns exec ${pod1.name} dig @${V4.local} ${web}`,
      `             sudo ip netns exec ${pod2.name} getent ahosts web`,
      `rules        sudo ip netns exec ${cluster.node.name} nft list ruleset`,
      `conntrack    sudo ip netns exec ${cluster.node.name} conntrack -L`,
      `metrics      sudo ip netns exec ${cluster.node.name} curl -s 127.0.0.1:9253/metrics`,
    ].join('\n'),
  );
  report.note('');
  report.note('Enter or Ctrl-C takes it down.');
  // Not readline: in raw mode a Ctrl-C would be a character, not the signal that takes everything down.
  await once(process.stdin, 'data');
  process.stdin.pause();
}
