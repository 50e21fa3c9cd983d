/** Rolling updates under load: a new pod starts beside the old one, then the old one leaves. No client notices. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { load } from '../../support/cluster/clients/load.ts';
import { V4 } from '../../support/cluster/plan.ts';
import { until as eventually } from '../../support/cluster/process/wait.ts';
import { PROXIES, type ProxyKind } from '../../support/cluster/proxy/proxy.ts';
import { requestsServed } from '../../support/cluster/site.ts';
import { type Pod, Rollout } from '../../support/netns/rollout.ts';
import { describeSites, withSite } from '../../support/netns/sites.ts';
import { type TcpLoadResult, tcpLoad } from '../../support/netns/tcp-load.ts';

const ROUNDS = Number(process.env.NODENS_CHAOS_ROUNDS ?? 2);

/** Log lines of agent and init that need an operator. */
function alarmsIn({ init, agent }: Pod): string[] {
  const lines = [init, agent].flatMap((daemon) => daemon.log().split('\n'));
  return lines.filter((line) => /"level":"(?:warn|error)"/.test(line));
}

const updated = (proxy: ProxyKind): void => {
  it(`${ROUNDS} times under load: no UDP query lost, no TCP answer truncated`, () =>
    withSite(proxy, async (site) => {
      const { cluster } = site;
      const rollout = new Rollout(site);
      let pod = await rollout.start();
      await eventually(
        'the agent serves',
        async () => (await requestsServed(cluster.node)) !== undefined,
      );
      const alarms: string[] = [];
      const [first, second] = cluster.pods;
      const updates = async (): Promise<void> => {
        for (let round = 0; round < ROUNDS; round++) {
          const next = await rollout.start();
          assert.deepEqual(await rollout.end(pod), [0, 0]);
          assert.match(pod.agent.log(), /"acknowledged":true/);
          alarms.push(...alarmsIn(pod));
          pod = next;
        }
      };
      const until = updates();
      const udp = { queriesPerSecond: 500, until, sockets: 8 };
      const [vip, local, ...tcp] = await Promise.all([
        load(cluster, first, { server: V4.vip, ...udp }),
        load(cluster, second, { server: V4.local, ...udp }),
        tcpLoad(first, { server: V4.vip, clients: 6, until }),
        tcpLoad(second, { server: V4.local, clients: 6, until }),
      ]);
      await until;
      alarms.push(...alarmsIn(pod));
      assert.deepEqual(alarms, [], 'an update caused a warning');
      const sent = vip.sent + local.sent;
      const sum = (key: keyof TcpLoadResult): number => tcp.reduce((all, one) => all + one[key], 0);
      process.stdout.write(
        `# ${ROUNDS} rolling updates, ${proxy}: UDP ${vip.lost + local.lost} of ${sent} lost; TCP ${sum('reset')} of ` +
          `${sum('answered')} cut off, ${sum('closed')} asked again after a FIN, slowest ${Math.max(...tcp.map(({ slowestMs }) => slowestMs))} ms\n`,
      );
      for (const { sent: all, lost, codes } of [vip, local]) {
        assert.equal(lost, 0, `${lost} of ${all} queries lost`);
        assert.deepEqual(codes, { NOERROR: all });
      }
      for (const result of tcp) {
        assert.deepEqual([result.reset, result.lost], [0, 0], JSON.stringify(result));
        assert.ok(result.answered > ROUNDS * 50, JSON.stringify(result));
      }
      assert.ok(((await requestsServed(cluster.node)) ?? 0) > 0);
    }));
};

describeSites('a rolling update', updated, PROXIES, 300_000 + ROUNDS * 30_000);
