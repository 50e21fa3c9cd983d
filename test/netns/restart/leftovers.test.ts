/** A node with rules of node-local-dns: init removes those of a dead process, and leaves those of a running one. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { type DigResult, dig } from '../../support/cluster/clients/dig.ts';
import type { Cluster } from '../../support/cluster/cluster.ts';
import type { Netns } from '../../support/cluster/netns.ts';
import { footprint, metrics, total } from '../../support/cluster/observe.ts';
import { V4 } from '../../support/cluster/plan.ts';
import { Daemon } from '../../support/cluster/process/process.ts';
import { until } from '../../support/cluster/process/wait.ts';
import type { ProxyKind } from '../../support/cluster/proxy/proxy.ts';
import { intercepting } from '../../support/cluster/site.ts';
import { leaveNodeLocalDnsRules } from '../../support/netns/init.ts';
import { describeSites, withSite } from '../../support/netns/sites.ts';

const IPS = [V4.local, V4.vip];
const LINK = 'nodelocaldns';
const RULES_PER_IP = 12;
const DNS_ECHO = new URL('../../support/dns/echo.ts', import.meta.url).pathname;
const SAVES = [
  'iptables-nft-save',
  'ip6tables-nft-save',
  'iptables-legacy-save',
  'ip6tables-legacy-save',
];

/** A bridge replaces the dummy link, which not every kernel has: only the addresses matter. */
async function makeLink(node: Netns): Promise<void> {
  await node.ip('link', 'add', LINK, 'type', 'bridge');
  await node.ip('link', 'set', LINK, 'up');
}

/** Rules and addresses of a running node-local-dns, which remain after it is killed. */
async function leave(node: Netns, iptables: string): Promise<void> {
  for (const ip of IPS) await node.ip('addr', 'add', `${ip}/32`, 'dev', LINK);
  const run = (program: string, args: readonly string[]) => node.must([program, ...args]);
  await leaveNodeLocalDnsRules({ run }, iptables, IPS);
}

async function countLeftRules(node: Netns): Promise<number> {
  let rules = 0;
  for (const save of SAVES)
    rules += (await node.run([save])).stdout.split('NodeLocal DNS Cache').length - 1;
  return rules;
}

function leftAddresses(node: Netns): Promise<string> {
  return node.ip('-4', '-o', 'addr', 'show', 'dev', LINK);
}

function ask(cluster: Cluster, name: string, server: string = V4.vip): Promise<DigResult> {
  const full = `${name}.any.default.svc.cluster.local`;
  return dig(cluster.pods[0], { server, name: full, timeoutSeconds: 1 });
}

describeSites('a node with leftovers of node-local-dns', (proxy: ProxyKind) => {
  const iptables = proxy === 'nft' ? 'iptables-nft' : 'iptables-legacy';

  it(`in ${iptables}: init removes leftovers for good, and kube-dns serves`, () =>
    withSite(proxy, async (site) => {
      const { cluster, nodens } = site;
      await makeLink(cluster.node);
      await leave(cluster.node, iptables);
      assert.equal(await countLeftRules(cluster.node), RULES_PER_IP * IPS.length);
      assert.equal((await ask(cluster, 'hole')).status, 'TIMEOUT', 'the leftovers lose no query');

      const init = nodens.startInit();
      await until('the rules to go', async () => (await countLeftRules(cluster.node)) === 0);
      await until('the link to be empty', async () => (await leftAddresses(cluster.node)) === '');
      for (const server of IPS)
        assert.equal((await ask(cluster, 'before', server)).status, 'NOERROR', server);

      const agent = nodens.startAgent();
      await intercepting(site, [init, agent]);
      await Promise.all([agent.stop('SIGKILL'), init.stop('SIGKILL')]);
      for (const server of IPS)
        assert.equal((await ask(cluster, 'after', server)).status, 'NOERROR', server);
      // Rules, addresses, and the base chains that only these rules needed.
      assert.ok(init.log().split('dead node-local-dns left').length - 1 >= 26);
    }));

  it(`in ${iptables}: --cleanup restores the node, and --observe prints what it would do`, () =>
    withSite(proxy, async ({ cluster, nodens }) => {
      await makeLink(cluster.node);
      if (iptables === 'iptables-legacy') {
        // Legacy tables cannot be removed.
        for (const table of ['raw', 'filter'])
          await cluster.node.must(['iptables-legacy', '-w', '5', '-t', table, '-S']);
      }
      const before = await footprint(cluster.node);
      await leave(cluster.node, iptables);
      const dirty = await footprint(cluster.node);
      const said = await nodens.observe();
      assert.match(said.stdout, /# left by node-local-dns: 24 rules of iptables, to be removed/);
      assert.match(said.stdout, /^ip addr del 169.254.20.10\/32 dev nodelocaldns$/m);
      assert.equal(await footprint(cluster.node), dirty);
      assert.equal((await nodens.cleanup()).code, 0);
      assert.equal(await footprint(cluster.node), before);
    }));

  it(`in ${iptables}: nodens does not touch a running one, logs it, and takes over later`, () =>
    withSite(proxy, async (site) => {
      const { cluster, nodens } = site;
      await makeLink(cluster.node);
      await leave(cluster.node, iptables);
      const living = new Daemon({
        name: 'node-local-dns',
        netns: cluster.node,
        argv: [process.execPath, DNS_ECHO, 'peer', ...IPS],
        logFile: `${cluster.runDir}/peer.log`,
        env: { AS_COREDNS: '1' },
      });
      await until('the other server to listen', () => living.log().includes('listening'));
      const init = nodens.startInit('--syncinterval', '1s');
      const agent = nodens.startAgent();
      await until('init to log the running node-local-dns', () =>
        init.log().includes('a node-local-dns still runs here'),
      );
      await until('the agent to log the port in use', () =>
        agent.log().includes('"event":"port-taken"'),
      );
      assert.match(agent.log(), /ss -lntup 'sport = :53'.*cannot bind 169\.254\.20\.10:53.tcp/);
      const samples = await metrics(cluster.node, 'http://127.0.0.1:9253/metrics');
      assert.ok(total(samples, 'nodens_listen_errors_total', 'EADDRINUSE') > 0);
      assert.equal(await countLeftRules(cluster.node), RULES_PER_IP * IPS.length);
      assert.notEqual(await leftAddresses(cluster.node), '');
      assert.equal(
        (await ask(cluster, 'theirs')).status,
        'NOERROR',
        'the running server does not answer',
      );
      assert.deepEqual(cluster.askedAbout('theirs.any.default.svc.cluster.local'), []);

      await living.stop('SIGKILL');
      await intercepting(site, [init, agent]);
      await until('the rules to go', async () => (await countLeftRules(cluster.node)) === 0);
      assert.equal(init.log().split('still runs here').length - 1, 1, 'init did not log it once');
    }));
});
