/** A node without nodens so far, and clients that ask all the time: no client loses an answer that kube-dns would give. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { dig } from '../../support/cluster/clients/dig.ts';
import { type LoadResult, load } from '../../support/cluster/clients/load.ts';
import type { Cluster } from '../../support/cluster/cluster.ts';
import type { Netns } from '../../support/cluster/netns.ts';
import { metrics, ruleCounters, total } from '../../support/cluster/observe.ts';
import { V4 } from '../../support/cluster/plan.ts';
import { METRICS_URL } from '../../support/cluster/process/nodens.ts';
import type { Daemon } from '../../support/cluster/process/process.ts';
import { until } from '../../support/cluster/process/wait.ts';
import type { ProxyKind } from '../../support/cluster/proxy/proxy.ts';
import { intercepting, requestsServed } from '../../support/cluster/site.ts';
import { describeSites, withSite } from '../../support/netns/sites.ts';
import { type TcpLoadResult, tcpLoad } from '../../support/netns/tcp-load.ts';

/** `npm run chaos` waits the full half minute. */
const OUTAGE_SECONDS = Number(process.env.NODENS_START_OUTAGE_SECONDS ?? 4);

/** Blocks the agent, and no other program, from kube-dns: a firewall, a Service that is not there yet. */
const BARRIER = `
table inet barrier {
  chain out { type filter hook output priority -310; ip daddr ${V4.upstreamVip} drop; }
}
`;

interface Loads {
  readonly pod: Promise<LoadResult>;
  readonly host: Promise<LoadResult>;
  readonly tcp: Promise<TcpLoadResult>;
}

/** Pods and the node itself ask the VIP, this resolves once they have been answered. */
async function ask(cluster: Cluster, over: Promise<unknown>): Promise<Loads> {
  const server = V4.vip;
  const udp = { server, queriesPerSecond: 250, until: over, sockets: 8 };
  const loads = {
    pod: load(cluster, cluster.pods[0], udp),
    host: load(cluster, cluster.node, udp),
    tcp: tcpLoad(cluster.pods[1], { server, clients: 4, until: over }),
  };
  const counted = (): number => cluster.counts().kubeDns.udp;
  await until('the clients to be answered by kube-dns', () => counted() > 100);
  return loads;
}

async function assertNoFailure({ pod, host, tcp }: Loads): Promise<void> {
  for (const { sent, lost, codes } of await Promise.all([pod, host])) {
    assert.equal(lost, 0, `${lost} of ${sent} queries lost`);
    assert.deepEqual(codes, { NOERROR: sent });
  }
  const { answered, lost, reset } = await tcp;
  assert.ok(answered > 100, `${answered}`);
  assert.deepEqual({ lost, reset }, { lost: 0, reset: 0 });
}

/** Resolves when the agent, not kube-dns, has answered the clients for some time. */
async function servesTheLoad(node: Netns): Promise<void> {
  const served = async (): Promise<boolean> => ((await requestsServed(node)) ?? 0) > 1_000;
  await until('the agent to serve', served, 20_000);
}

async function state(node: Netns): Promise<string[]> {
  const samples = await metrics(node, METRICS_URL);
  return ['waiting', 'intercepting', 'withdrawn'].filter(
    (name) => total(samples, 'nodens_interception_state', `"${name}"`) === 1,
  );
}

async function queryRules(node: Netns): Promise<string[]> {
  return [...(await ruleCounters(node)).keys()].filter((rule) => rule.startsWith('query-'));
}

describeSites(
  'a fresh node',
  (proxy: ProxyKind) => {
    it('clients that began to ask before the start get no failure', () =>
      withSite(proxy, async (site) => {
        const { cluster, nodens } = site;
        const over = Promise.withResolvers<void>();
        const loads = await ask(cluster, over.promise);
        const init = nodens.startInit();
        const agent = nodens.startAgent();
        await intercepting(site, [init, agent]);
        await servesTheLoad(cluster.node);
        over.resolve();
        await assertNoFailure(loads);
      }));

    it(`upstream unreachable for ${OUTAGE_SECONDS} s: kube-dns serves until it answers`, () =>
      withSite(proxy, async (site) => {
        const { cluster, nodens } = site;
        const { node } = cluster;
        await node.must(['nft', '-f', '-'], { input: BARRIER });
        const over = Promise.withResolvers<void>();
        const loads = await ask(cluster, over.promise);
        const init = nodens.startInit();
        const agent = nodens.startAgent();
        await untilRefused(init, agent);
        await new Promise((resolve) => {
          setTimeout(resolve, OUTAGE_SECONDS * 1_000);
        });
        await assertKubeDnsServes(cluster, init);

        await node.must(['nft', 'delete', 'table', 'inet', 'barrier']);
        await intercepting(site, [init, agent]);
        assert.deepEqual(await state(node), ['intercepting']);
        await servesTheLoad(node);
        over.resolve();
        await assertNoFailure(loads);
      }));

    it('wrong cluster domain: kube-dns serves until the Corefile has the right one', () =>
      withSite(proxy, async (site) => {
        const { cluster, nodens } = site;
        const { node } = cluster;
        const init = nodens.startInit();
        const agent = nodens.startAgent((corefile) =>
          corefile.replaceAll('{$CLUSTER_DOMAIN}', 'cluster.wrong'),
        );
        await until(
          'the agent to log the wrong cluster domain',
          () => agent.log().includes('NXDOMAIN for kubernetes.default.svc.cluster.wrong'),
          15_000,
          () => `${init.tail()}\n${agent.tail()}`,
        );
        await assertKubeDnsServes(cluster, init);

        nodens.editCorefile((corefile) => corefile);
        await intercepting(site, [init, agent]);
        assert.deepEqual(await state(node), ['intercepting']);
      }));
  },
  undefined,
  400_000 + OUTAGE_SECONDS * 1_000,
);

/** On all addresses of the node, once init has set them up; the agent answers on none. */
async function assertKubeDnsServes({ node, pods }: Cluster, init: Daemon): Promise<void> {
  await until('init to be set up', () => init.log().includes('"msg":"set up"'), 15_000);
  assert.deepEqual(await queryRules(node), []);
  assert.deepEqual(await state(node), ['waiting']);
  const name = 'meanwhile.any.default.svc.cluster.local';
  for (const from of [...pods, node])
    assert.equal((await dig(from, { server: V4.local, name })).status, 'NOERROR');
  assert.equal(await requestsServed(node), 0);
}

/** Resolves when the agent has asked its upstream without an answer. */
async function untilRefused(init: Daemon, agent: Daemon): Promise<void> {
  await until(
    'the agent to log that no upstream answers',
    () => agent.log().includes('no upstream answers yet: the agent does not listen'),
    15_000,
    () => `${init.tail()}\n${agent.tail()}`,
  );
}
