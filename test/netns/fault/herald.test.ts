/** The companion that tells init of an agent's end is killed alone: init is wrong once, and no client notices. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { dig } from '../../support/cluster/clients/dig.ts';
import { metrics, total } from '../../support/cluster/observe.ts';
import { V4 } from '../../support/cluster/plan.ts';
import { METRICS_URL } from '../../support/cluster/process/nodens.ts';
import { until } from '../../support/cluster/process/wait.ts';
import type { ProxyKind } from '../../support/cluster/proxy/proxy.ts';
import { requestsServed, type Site, startNodens } from '../../support/cluster/site.ts';
import { allowedMs } from '../../support/machine.ts';
import { lostQueries, SteadyClients, stallIn } from '../../support/netns/background-load.ts';
import { heraldPid, isBound, pause, queryRules } from '../../support/netns/faults.ts';
import { describeSites, withSite } from '../../support/netns/sites.ts';

const MAX_GAP_MS = 50;

/** Whether it is the agent that answers a program of the node. */
async function answersHost({ cluster }: Site): Promise<boolean> {
  const before = (await requestsServed(cluster.node)) ?? 0;
  const name = 'kubernetes.default.svc.cluster.local';
  await dig(cluster.node, { server: V4.vip, name });
  return ((await requestsServed(cluster.node)) ?? 0) > before;
}

const heralds = (proxy: ProxyKind): void => {
  it('withdrawn at once, back after some good probes, and not withdrawn again for the next herald', () =>
    withSite(proxy, async (site) => {
      const { init, agent } = await startNodens(site);
      const rules = async (): Promise<number> => (await queryRules(site)).length;
      await until('query rules', async () => (await rules()) > 0);
      const clients = await SteadyClients.start(site);
      await pause(300);
      const first = heraldPid(agent);
      process.kill(first, 'SIGKILL');
      await until('withdrawal', async () => (await rules()) === 0);
      await until('interception', async () => (await rules()) > 0);
      await pause(300);
      const seen = await clients.stop();
      assert.equal(lostQueries(seen), 0);
      const allowed = (await allowedMs(MAX_GAP_MS)) + stallIn(seen);
      for (const { where, transport, server, gapMs } of seen)
        assert.ok(gapMs <= allowed, `${where}'s ${transport} to ${server}: ${gapMs} ms`);
      assert.equal(init.log().split('"event":"agent-killed"').length - 1, 1);
      const flaps = async (): Promise<number> =>
        total(await metrics(site.cluster.node, METRICS_URL), 'nodens_interception_flaps_total');
      await until('one flap', async () => (await flaps()) === 1);

      const second = heraldPid(agent);
      assert.notEqual(second, first);
      process.kill(second, 'SIGKILL');
      await until(
        'rules without a mark',
        async () => !(await isBound(site)) && (await rules()) > 0,
      );
      assert.equal(await answersHost(site), true, 'not believed so soon');
      assert.equal(init.log().split('"event":"agent-killed"').length - 1, 1);
    }));
};

describeSites('a herald that is killed', heralds, ['iptables']);
