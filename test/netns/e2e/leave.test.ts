/** nodens stops, is killed, and is cleaned up. The VIP is served throughout, and no unwanted rule remains. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { OneSocketClient } from '../../support/cluster/clients/clients.ts';
import { dig } from '../../support/cluster/clients/dig.ts';
import { load } from '../../support/cluster/clients/load.ts';
import type { Cluster } from '../../support/cluster/cluster.ts';
import { footprint, ruleCounters } from '../../support/cluster/observe.ts';
import { V4 } from '../../support/cluster/plan.ts';
import { until } from '../../support/cluster/process/wait.ts';
import type { ProxyKind } from '../../support/cluster/proxy/proxy.ts';
import { requestsServed, startNodens } from '../../support/cluster/site.ts';
import { OneConnection } from '../../support/netns/one-connection.ts';
import { describeSites, withSite } from '../../support/netns/sites.ts';

const ZONE = 'any.default.svc.cluster.local';
const ANSWER = 'NOERROR 10.96.9.9';
const OWN_PORTS = [40_001, 40_002, 40_003, 40_004];

/** Resolves when a backend's kernel has buffered a query over TCP that its frozen name server does not read. */
function pendingUpstream(cluster: Cluster): Promise<boolean> {
  const pending = async (): Promise<boolean> => {
    const listed = await Promise.all(
      cluster.namespaces.map((netns) =>
        netns.run(['ss', '-Hnt', 'state', 'established', 'sport = :53']),
      ),
    );
    return listed.some(({ stdout }) => /^[1-9]/m.test(stdout));
  };
  return until('a query to wait at kube-dns', pending);
}

function withdrawn(cluster: Cluster): Promise<boolean> {
  return until('the query rules to go', async () => {
    const rules = [...(await ruleCounters(cluster.node)).keys()];
    return !rules.some((rule) => rule.startsWith('query-'));
  });
}

describeSites('leaving a node', (proxy: ProxyKind) => {
  it('kube-dns serves two connections from one port, to VIP and link-local address', () =>
    withSite(proxy, async (site) => {
      const { cluster } = site;
      const { agent } = await startNodens(site);
      agent.signal('SIGTERM');
      await withdrawn(cluster);
      // Each connection may reach either of the kube-dns pods.
      for (const [i, port] of OWN_PORTS.entries())
        for (const space of [cluster.pods[0], cluster.node]) {
          const toVip = await OneConnection.open(space, V4.vip, port);
          assert.equal(await toVip.ask(`vip${i}.${ZONE}`), ANSWER);
          const toLocal = await OneConnection.open(space, V4.local, port);
          for (const turn of [1, 2]) {
            assert.equal(await toLocal.ask(`local${i}-${turn}.${ZONE}`), ANSWER);
            assert.equal(await toVip.ask(`vip${i}-${turn}.${ZONE}`), ANSWER);
          }
          await Promise.all([toVip.close(), toLocal.close()]);
        }
    }));

  it('SIGTERM: kube-dns serves at once, also a socket with a query in flight', () =>
    withSite(proxy, async (site) => {
      const { cluster } = site;
      const { init, agent } = await startNodens(site);
      const client = new OneSocketClient(cluster.pods[0], V4.vip);
      try {
        assert.equal(await client.ask(`before.${ZONE}`), 'NOERROR 10.96.9.9');
        for (const dns of cluster.kubeDns) dns.freeze(['tcp']);
        const inFlight = client.send(`slow.${ZONE}`);
        await pendingUpstream(cluster);

        agent.signal('SIGTERM');
        await withdrawn(cluster);
        const meanwhile = `meanwhile.${ZONE}`;
        assert.equal(
          await client.ask(meanwhile),
          'NOERROR 10.96.9.9',
          'no answer while the agent drains',
        );
        for (const dns of cluster.kubeDns) dns.thaw(['tcp']);
        const late = await until('the answer in flight', () => client.response(inFlight), 5_000);
        assert.equal(late, 'NOERROR 10.96.9.9', 'another answer to the query in flight');
        assert.equal(await agent.exited, 0);
        assert.equal(await init.stop(), 0);

        for (const i of [1, 2, 3, 4, 5]) {
          assert.equal(await client.ask(`after${i}.${ZONE}`), 'NOERROR 10.96.9.9');
        }
        const askers = cluster
          .askedAbout(`after5.${ZONE}`)
          .map((query) => `${query.client} ${query.transport}`);
        assert.deepEqual(askers, [`${V4.pods[0]} udp`]);
      } finally {
        await client.close();
      }
    }));

  it('SIGTERM: open TCP connections to the agent or kube-dns lose no answer', () =>
    withSite(proxy, async (site) => {
      const { cluster } = site;
      const [pod] = cluster.pods;
      const proxied = await OneConnection.open(pod, V4.vip);
      assert.equal(await proxied.ask(`first.${ZONE}`), ANSWER);
      const { init, agent } = await startNodens(site, '--syncinterval', '1s');
      assert.equal(
        await proxied.ask(`proxied.${ZONE}`),
        ANSWER,
        'no answer by kube-dns while nodens intercepts',
      );
      assert.equal(cluster.askedAbout(`proxied.${ZONE}`)[0]?.client, V4.pods[0]);

      const held = await Promise.all([V4.vip, V4.local].map((ip) => OneConnection.open(pod, ip)));
      for (const connection of held) assert.equal(await connection.ask(`held.${ZONE}`), ANSWER);
      assert.notEqual(cluster.askedAbout(`held.${ZONE}`)[0]?.client, V4.pods[0]);
      for (const dns of cluster.kubeDns) dns.freeze(['tcp']);
      const inFlight = held.map((connection, i) => connection.send(`slow${i}.${ZONE}`));
      await pendingUpstream(cluster);
      agent.signal('SIGTERM');
      await until('init to acknowledge the withdraw', async () =>
        agent.log().includes('acknowledged'),
      );
      // At once: clients have a second for it, and a look at the rules takes longer on a slow machine.
      const after = held.map((connection, i) => connection.send(`after${i}.${ZONE}`));
      for (const dns of cluster.kubeDns) dns.thaw(['tcp']);
      for (const [i, connection] of held.entries()) {
        assert.equal(
          await connection.response(inFlight[i] as number),
          ANSWER,
          'no answer to the query in flight',
        );
        assert.equal(
          await connection.response(after[i] as number),
          ANSWER,
          'no answer to a query after the withdrawal',
        );
      }
      await withdrawn(cluster);
      assert.equal(
        await proxied.ask(`meanwhile.${ZONE}`),
        ANSWER,
        'no answer while the agent leaves',
      );
      assert.equal(await agent.exited, 0);
      assert.equal(await init.stop(), 0);
      for (const { events } of held) assert.deepEqual(events, ['connected', 'ended']);
      assert.equal(await proxied.ask(`last.${ZONE}`), ANSWER, 'no answer after nodens has stopped');
      assert.deepEqual(proxied.events, ['connected']);
      for (const connection of [proxied, ...held]) await connection.close();
    }));

  it('SIGKILL of init: the agent still answers on its open connections', () =>
    withSite(proxy, async (site) => {
      const { cluster } = site;
      const [pod] = cluster.pods;
      const proxied = await OneConnection.open(pod, V4.vip);
      const { init, agent } = await startNodens(site);
      const held = await Promise.all([V4.vip, V4.local].map((ip) => OneConnection.open(pod, ip)));
      for (const dns of cluster.kubeDns) dns.freeze(['tcp']);
      const inFlight = held.map((connection, i) => connection.send(`slow${i}.${ZONE}`));
      await pendingUpstream(cluster);
      await init.stop('SIGKILL');
      await withdrawn(cluster);
      const after = held.map((connection, i) => connection.send(`after${i}.${ZONE}`));
      for (const dns of cluster.kubeDns) dns.thaw(['tcp']);
      for (const [i, connection] of held.entries()) {
        assert.equal(
          await connection.response(inFlight[i] as number),
          ANSWER,
          'no answer to the query in flight',
        );
        assert.equal(
          await connection.response(after[i] as number),
          ANSWER,
          'no answer to a query after the withdrawal',
        );
        assert.equal(await connection.ask(`later.${ZONE}`), ANSWER);
        assert.deepEqual(connection.events, ['connected']);
      }
      assert.equal(await proxied.ask(`proxied.${ZONE}`), ANSWER);
      const fresh = await OneConnection.open(pod, V4.vip);
      assert.equal(await fresh.ask(`fresh.${ZONE}`), ANSWER);
      assert.equal(cluster.askedAbout(`fresh.${ZONE}`)[0]?.client, V4.pods[0]);
      assert.equal(await agent.stop(), 0);
      for (const connection of [proxied, fresh]) {
        assert.deepEqual(connection.events, ['connected']);
        await connection.close();
      }
      for (const connection of held) await connection.close();
    }));

  it('a stop and a start under load lose no query over UDP', () =>
    withSite(proxy, async (site) => {
      const { cluster } = site;
      const first = await startNodens(site);
      const served = async (): Promise<boolean> =>
        ((await requestsServed(cluster.node)) ?? 0) > 100;
      const restart = async (): Promise<void> => {
        await until('the load to reach the agent', served);
        await Promise.all([first.agent.stop(), first.init.stop()]);
        await startNodens(site);
        await until('the load to be back', served);
      };
      const over = restart();
      const stream = { server: V4.vip, queriesPerSecond: 500, until: over, sockets: 8 };
      const [{ sent, lost, codes }] = await Promise.all([
        load(cluster, cluster.pods[0], stream),
        over,
      ]);
      assert.equal(lost, 0, `${lost} of ${sent} queries lost`);
      assert.deepEqual(codes, { NOERROR: sent });
    }));

  it('SIGKILL of the agent: kube-dns serves pods from the next packet on', () =>
    withSite(proxy, async (site) => {
      const { cluster } = site;
      const { agent } = await startNodens(site);
      await agent.stop('SIGKILL');
      for (const tcp of [false, true]) {
        const name = `killed-${tcp ? 'tcp' : 'udp'}.${ZONE}`;
        const answer = await dig(cluster.pods[0], { server: V4.vip, name, tcp, timeoutSeconds: 1 });
        assert.equal(answer.status, 'NOERROR');
        assert.equal(cluster.askedAbout(name)[0]?.client, V4.pods[0]);
      }
    }));

  it('SIGTERM leaves addresses and standing rules; --cleanup restores the node', () =>
    withSite(proxy, async (site) => {
      const { cluster, nodens } = site;
      const before = await footprint(cluster.node);
      const { init, agent } = await startNodens(site);
      await Promise.all([agent.stop(), init.stop()]);
      const kept = [...(await ruleCounters(cluster.node)).keys()].map((rule) => rule.split('-')[0]);
      assert.deepEqual([...new Set(kept)].sort(), [
        'fallback',
        'flow',
        'masquerade',
        'probe',
        'remember',
        'reply',
        'restore',
      ]);
      assert.match(
        await cluster.node.ip('addr', 'show', 'dev', 'lo'),
        new RegExp(`inet ${V4.vip}/32`),
      );
      for (const _ of ['first', 'again']) {
        const { code, stderr } = await nodens.cleanup();
        assert.equal(code, 0, stderr);
        assert.equal(await footprint(cluster.node), before);
      }
    }));

  it('--cleanup removes the rules of a killed init', () =>
    withSite(proxy, async (site) => {
      const { cluster, nodens } = site;
      const before = await footprint(cluster.node);
      const { init, agent } = await startNodens(site, '--backend', 'iptables');
      await Promise.all([agent.stop('SIGKILL'), init.stop('SIGKILL')]);
      assert.notEqual(await footprint(cluster.node), before);
      assert.equal((await nodens.cleanup()).code, 0);
      assert.equal(await footprint(cluster.node), before);
    }));
});
