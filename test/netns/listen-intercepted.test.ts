/** The manifests' agent with a Corefile that binds nothing: init's rules redirect packets only to sockets of a local IP. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { dataOf, dig } from '../support/cluster/clients/dig.ts';
import { metrics, ruleCounters } from '../support/cluster/observe.ts';
import { V4, V6 } from '../support/cluster/plan.ts';
import { METRICS_URL } from '../support/cluster/process/nodens.ts';
import { until } from '../support/cluster/process/wait.ts';
import { DUAL_STACK, intercepting } from '../support/cluster/site.ts';
import { describeSites, withSite } from '../support/netns/sites.ts';

const unbound = (corefile: string): string => corefile.replace(/^ *bind .*\n/m, '');

describeSites('a Corefile without bind', (proxy) => {
  it("init intercepts on every local IP over UDP and TCP; series have the wildcard's label", () =>
    withSite(
      proxy,
      async (site) => {
        const { cluster, nodens } = site;
        const init = nodens.startInit();
        const agent = nodens.startAgent(unbound);
        await intercepting(site, [init, agent]);
        const servers = [V4.local, V6.local, V4.vip, V6.vip];
        for (const server of servers)
          for (const tcp of [false, true])
            for (const from of [cluster.pods[0], cluster.node]) {
              const answer = await dig(from, {
                server,
                name: 'w.any.default.svc.cluster.local',
                tcp,
              });
              assert.deepEqual([answer.status, ...dataOf(answer)], ['NOERROR', '10.96.9.9']);
            }
        const rules = await ruleCounters(cluster.node);
        for (const [rule, count] of rules)
          if (rule.startsWith('query-pod')) assert.ok(count > 0, `${rule}: ${count}`);
        const samples = await metrics(cluster.node, METRICS_URL);
        const labels = new Set(
          samples
            .filter(({ name }) => name === 'coredns_dns_requests_total')
            .map(({ labels }) => /server="([^"]*)"/.exec(labels)?.[1]),
        );
        assert.deepEqual([...labels], ['dns://:53']);

        // The rules match only while its socket exists: kube-dns serves at once.
        await agent.stop('SIGKILL');
        await until('kube-dns to serve', async () => {
          const name = 'x.any.default.svc.cluster.local';
          const answer = await dig(cluster.pods[0], { server: V4.vip, name, timeoutSeconds: 1 });
          return answer.status === 'NOERROR';
        });
      },
      DUAL_STACK,
    ));
});
