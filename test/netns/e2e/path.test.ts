/** The path of a query through a node: local answers, upstream queries, and the state that they leave in the kernel. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { glibcLookup } from '../../support/cluster/clients/clients.ts';
import { dataOf, dig } from '../../support/cluster/clients/dig.ts';
import {
  clientEntries,
  forgetClients,
  routeSource,
  ruleCounters,
} from '../../support/cluster/observe.ts';
import { V4, V6 } from '../../support/cluster/plan.ts';
import type { ProxyKind } from '../../support/cluster/proxy/proxy.ts';
import { buildSite, DUAL_STACK, type Site, startNodens } from '../../support/cluster/site.ts';
import { describeSites } from '../../support/netns/sites.ts';

const SERVERS = [...DUAL_STACK.linkLocal, ...DUAL_STACK.vips];

describeSites('queries through a node', (proxy: ProxyKind) => {
  let site: Site;

  before(async () => {
    site = await buildSite(proxy, DUAL_STACK);
    await startNodens(site);
    // Entries from before interception are those of kube-proxy's path.
    await forgetClients(site.cluster.node);
  });

  after(() => site.cluster.down());

  for (const server of SERVERS) {
    it(`the agent asks kube-dns once, over TCP, for repeated queries on ${server}`, async () => {
      const { cluster } = site;
      const name = `x${SERVERS.indexOf(server)}.any.default.svc.cluster.local`;
      for (const from of [...cluster.pods, cluster.node]) {
        for (const tcp of [false, true]) {
          const answer = await dig(from, { server, name, tcp });
          assert.deepEqual([answer.status, ...dataOf(answer)], ['NOERROR', '10.96.9.9']);
        }
      }
      assert.match(cluster.wayOf(name).join(), /^dns[12] tcp$/);
    });
  }

  it('the agent asks the internet over UDP, and over TCP if the answer does not fit', async () => {
    const { cluster } = site;
    const name = 'y.any.example.com';
    for (const server of SERVERS) {
      assert.deepEqual(dataOf(await dig(cluster.pods[0], { server, name })), ['192.0.2.81']);
    }
    assert.deepEqual(cluster.wayOf(name), ['internet udp']);
    const big = { name: 'big.example.com', type: 'TXT', server: V4.vip };
    const cut = await dig(cluster.pods[0], { ...big, options: ['+ignore'] });
    assert.ok(cut.flags.includes('tc'));
    const whole = await dig(cluster.pods[0], big);
    assert.equal(whole.answers[0]?.data.replaceAll(/[^x]/g, '').length, 2_400);
    assert.deepEqual(cluster.wayOf(big.name).sort(), ['internet tcp', 'internet udp']);
  });

  it('the agent relays and caches denials with their SOA', async () => {
    const question = { server: V4.vip, name: 'missing.default.svc.cluster.local' };
    for (const pod of site.cluster.pods) {
      const denial = await dig(pod, question);
      assert.equal(denial.status, 'NXDOMAIN');
      assert.deepEqual(
        denial.authority.map(({ type }) => type),
        ['SOA'],
      );
    }
    assert.match(site.cluster.wayOf(question.name).join(), /^dns[12] tcp$/);
  });

  it('the agent serves a C library with a search list', async () => {
    for (const server of SERVERS) {
      site.cluster.usePodNameserver(server);
      const addresses = await glibcLookup(site.cluster.pods[1], 'db');
      assert.deepEqual(addresses, ['10.244.1.31', '10.244.1.32', '10.244.1.33']);
    }
  });

  it('no client has a conntrack entry, although the query rules counted its packets', async () => {
    const { cluster } = site;
    const clients = [...V4.pods, ...V6.pods, ...SERVERS];
    const entries = await Promise.all(clients.map((client) => clientEntries(cluster.node, client)));
    assert.deepEqual(entries.flat(), []);
    const counted = await ruleCounters(cluster.node);
    for (const rule of ['query-pod-udp4', 'query-pod-tcp4', 'query-host-udp4', 'reply-udp4']) {
      assert.ok((counted.get(rule) ?? 0) > 0, `${rule}: ${counted.get(rule)}`);
    }
  });

  it('the kernel uses no local IP as source address on a link without an address', async () => {
    for (const [target, gateway] of [
      [V4.unnumbered, V4.gateway],
      [V6.unnumbered, V6.gateway],
    ] as const) {
      const source = await routeSource(site.cluster.node, target);
      assert.ok(!SERVERS.includes(source), `${source} for ${target}`);
      assert.notEqual(source, '', gateway);
    }
  });
});
