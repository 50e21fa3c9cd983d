/** `--shell`: the cluster stays up with nodens running, for manual tests. */
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { V4 } from '../support/cluster/plan.ts';
import type { LabFixture } from './fixture.ts';
import { start } from './steps/start.ts';

const NODENS = fileURLToPath(new URL('../../dist/agent/main.js', import.meta.url));

/** What containers have in their own file systems, and here in the lab's. */
function environment(runDir: string): string {
  const run = `${runDir}/nodens/run`;
  const sockets = `NODENS_ADMIN_SOCKET=${run}/admin.sock NODENS_CONTROL_SOCKET=${run}/control.sock`;
  return `${sockets} NODENS_UPSTREAM_SERVICE_HOST=${V4.upstreamVip}`;
}

/** Starts nodens, says how to get in, and returns when Enter is pressed. */
export async function leaveUp(fixture: LabFixture): Promise<void> {
  const { cluster, report } = fixture;
  await start(fixture);
  const [pod1, pod2] = cluster.pods;
  const web = 'web.default.svc.cluster.local';
  const nodens = `sudo ip netns exec ${cluster.node.name} env ${environment(cluster.runDir)} ${process.execPath} ${NODENS}`;
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
      '',
      `nodens       nodens() { ${nodens} "$@"; }`,
      '             then, for example: nodens doctor; nodens top; nodens query web.default.svc.cluster.local -trace',
    ].join('\n'),
  );
  report.note('');
  report.note('Enter or Ctrl-C takes it down.');
  // Not readline: in raw mode a Ctrl-C would be a character, not the signal that takes everything down.
  await once(process.stdin, 'data');
  process.stdin.pause();
}
