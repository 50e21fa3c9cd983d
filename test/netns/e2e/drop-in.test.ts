/** node-local-dns's own DaemonSet and ConfigMap, running nodens: one container, init the parent of the agent. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import { dataOf, dig } from '../../support/cluster/clients/dig.ts';
import type { Netns } from '../../support/cluster/netns.ts';
import { httpGet, metrics, privileges, total } from '../../support/cluster/observe.ts';
import { V4 } from '../../support/cluster/plan.ts';
import type { ProxyKind } from '../../support/cluster/proxy/proxy.ts';
import { intercepting } from '../../support/cluster/site.ts';
import { describeSites, withSite } from '../../support/netns/sites.ts';

const ZONE = 'any.default.svc.cluster.local';

/** Ids of the processes with a socket on port 53. */
async function owners(node: Netns): Promise<number[]> {
  const listed = await node.must(['ss', '-Hlnutp', 'sport = :53']);
  return [...new Set([...listed.matchAll(/pid=(\d+)/g)].map((match) => Number(match[1])))];
}

function parentOf(pid: number): number {
  return Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

describeSites('a drop-in for node-local-dns', (proxy: ProxyKind) => {
  it('nodens serves with the stock arguments and ConfigMap, and the agent has no privileges', () =>
    withSite(proxy, async (site) => {
      const { cluster, nodens } = site;
      const dropIn = nodens.startDropIn();
      await intercepting(site, [dropIn]);

      const [agent, ...others] = await owners(cluster.node);
      assert.deepEqual(others, [], 'more than one process has port 53');
      assert.deepEqual(privileges(agent as number), {
        uid: 65_532,
        capabilities: ['net_bind_service'],
      });
      assert.equal(parentOf(agent as number), dropIn.pid);

      for (const server of [V4.local, V4.vip]) {
        for (const from of [...cluster.pods, cluster.node]) {
          assert.deepEqual(dataOf(await dig(from, { server, name: `stock.${ZONE}` })), [
            '10.96.9.9',
          ]);
          assert.deepEqual(dataOf(await dig(from, { server, name: 'host.example.org' })), [
            '192.0.2.91',
          ]);
        }
      }
      assert.match(cluster.wayOf(`stock.${ZONE}`).join(), /^dns[12] tcp$/);
      assert.deepEqual(cluster.wayOf('host.example.org'), ['internet udp']);

      assert.equal(await httpGet(cluster.node, `http://${V4.local}:8080/health`), 'OK');
      const samples = await metrics(cluster.node, 'http://127.0.0.1:9353/metrics');
      assert.ok(total(samples, 'coredns_cache_hits_total') > 0);
      assert.equal(total(samples, 'coredns_nodecache_setup_errors_total'), 0);

      assert.equal(await dropIn.stop(), 0);
      const after = await dig(cluster.pods[0], { server: V4.vip, name: `after.${ZONE}` });
      assert.equal(after.status, 'NOERROR');
      assert.equal(cluster.askedAbout(`after.${ZONE}`)[0]?.client, V4.pods[0]);
    }));
});
