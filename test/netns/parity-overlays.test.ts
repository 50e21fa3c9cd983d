/** Each overlay of the manifests on a node: nodens starts, and pods and host get answers on the addresses of the overlay. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { dataOf, dig } from '../support/cluster/clients/dig.ts';
import { ruleCounters } from '../support/cluster/observe.ts';
import { V4 } from '../support/cluster/plan.ts';
import type { Daemon } from '../support/cluster/process/process.ts';
import { until } from '../support/cluster/process/wait.ts';
import type { ProxyKind } from '../support/cluster/proxy/proxy.ts';
import { intercepting, requestsServed, type Site, startNodens } from '../support/cluster/site.ts';
import { describeSites, withSite } from '../support/netns/sites.ts';

const LINK_LOCAL_ONLY = { linkLocal: [V4.local], vips: [] };

/** Cluster, reverse and world names from both pods and the node on `server`. */
async function resolves({ cluster }: Site, server: string, id: string): Promise<void> {
  for (const from of [...cluster.pods, cluster.node]) {
    const inside = await dig(from, { server, name: `${id}.any.default.svc.cluster.local` });
    assert.deepEqual(dataOf(inside), ['10.96.9.9']);
    const reverse = await dig(from, { server, name: '7.7.96.10.in-addr.arpa', type: 'PTR' });
    assert.deepEqual(dataOf(reverse), ['web.default.svc.cluster.local.']);
    const outside = await dig(from, { server, name: 'host.example.org', tcp: true });
    assert.deepEqual(dataOf(outside), ['192.0.2.91']);
  }
}

/** Resolves when the agent answers a pod on the link-local address. */
function answering({ cluster }: Site, daemons: readonly Daemon[]): Promise<unknown> {
  const logs = (): string => daemons.map((daemon) => daemon.tail()).join('\n');
  return until(
    'the agent to answer a pod on the link-local address',
    async () => {
      assert.ok(
        daemons.every((daemon) => daemon.running),
        logs(),
      );
      const name = 'kubernetes.default.svc.cluster.local';
      const answer = await dig(cluster.pods[0], { server: V4.local, name, timeoutSeconds: 1 });
      return answer.status === 'NOERROR' && ((await requestsServed(cluster.node)) ?? 0) > 0;
    },
    20_000,
    logs,
  );
}

describeSites('overlays', (proxy: ProxyKind) => {
  it('iptables-nftables: link-local address and VIP', () =>
    withSite(proxy, async (site) => {
      await startNodens(site);
      for (const server of [V4.local, V4.vip]) await resolves(site, server, 'both');
      assert.equal(site.cluster.wayOf('both.any.default.svc.cluster.local').length, 1);
    }));

  it('ipvs: the link-local address only, kube-proxy serves the VIP', () =>
    withSite(
      proxy,
      async (site) => {
        const { cluster, nodens } = site;
        await answering(site, [nodens.startInit(), nodens.startAgent()]);
        await resolves(site, V4.local, 'local');
        assert.match(cluster.wayOf('local.any.default.svc.cluster.local').join(), /^dns[12] tcp$/);

        const served = await requestsServed(cluster.node);
        await resolves(site, V4.vip, 'vip');
        assert.equal(await requestsServed(cluster.node), served, 'the agent served the query');
        const asked = cluster.askedAbout('vip.any.default.svc.cluster.local');
        const clients = asked.map(({ client }) => client);
        for (const pod of V4.pods) {
          assert.ok(
            clients.includes(pod),
            `kube-dns was not asked by ${pod} itself: ${clients.join()}`,
          );
        }
        assert.doesNotMatch(await cluster.node.ip('addr', 'show'), new RegExp(`${V4.vip}/`));
        assert.ok([...(await ruleCounters(cluster.node)).keys()].length > 0, 'no rules exist');
      },
      LINK_LOCAL_ONLY,
    ));

  it('drop-in: link-local address and VIP, one container', () =>
    withSite(proxy, async (site) => {
      await intercepting(site, [site.nodens.startDropIn()]);
      for (const server of [V4.local, V4.vip]) await resolves(site, server, 'both');
      assert.equal(site.cluster.wayOf('both.any.default.svc.cluster.local').length, 1);
    }));

  it('cleanup: no rule and no address is left', () =>
    withSite(proxy, async (site) => {
      const { cluster, nodens } = site;
      const { init, agent } = await startNodens(site);
      await agent.stop();
      await init.stop();
      const { code, stderr } = await nodens.cleanup();
      assert.equal(code, 0, stderr);
      assert.doesNotMatch(await cluster.node.ip('addr', 'show'), new RegExp(`${V4.local}/`));
      assert.deepEqual([...(await ruleCounters(cluster.node)).keys()], []);
      const after = await dig(cluster.pods[0], { server: V4.vip, name: 'host.example.org' });
      assert.deepEqual(dataOf(after), ['192.0.2.91']);
    }));
});
