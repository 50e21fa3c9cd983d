/** Ports in use by other programs: the agent serves DNS where it can, names the ports that it lacks and waits for them. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { dataOf, dig } from '../../support/cluster/clients/dig.ts';
import type { Cluster } from '../../support/cluster/cluster.ts';
import { httpGet, metrics, ruleCounters, total } from '../../support/cluster/observe.ts';
import { V4 } from '../../support/cluster/plan.ts';
import { METRICS_URL } from '../../support/cluster/process/nodens.ts';
import { Daemon } from '../../support/cluster/process/process.ts';
import { until } from '../../support/cluster/process/wait.ts';
import { intercepting } from '../../support/cluster/site.ts';
import { describeSites, withSite } from '../../support/netns/sites.ts';

const OCCUPIER = new URL('../../support/port-occupier.ts', import.meta.url).pathname;
const ZONE = 'any.default.svc.cluster.local';
const SERVERS = [V4.vip, V4.local];

async function squat(cluster: Cluster, ...ports: readonly string[]): Promise<Daemon> {
  const occupier = new Daemon({
    name: 'occupier',
    netns: cluster.node,
    argv: [process.execPath, OCCUPIER, ...ports],
    logFile: `${cluster.runDir}/occupier.log`,
  });
  await until('the ports to be taken', () => occupier.log().includes('taken'));
  return occupier;
}

/** Lines of the log with this event or message, as objects. The last one may not be whole yet. */
function lines(daemon: Daemon, word: string): Record<string, unknown>[] {
  const found = daemon.log().split('\n').slice(0, -1);
  return found.filter((line) => line.includes(`"${word}"`)).map((line) => JSON.parse(line));
}

async function assertAnswered(cluster: Cluster, label: string): Promise<void> {
  for (const server of SERVERS) {
    for (const from of [cluster.pods[0], cluster.node]) {
      for (const tcp of [false, true]) {
        const answer = await dig(from, { server, name: `${label}.${ZONE}`, tcp });
        assert.deepEqual([answer.status, ...dataOf(answer)], ['NOERROR', '10.96.9.9']);
      }
    }
  }
}

describeSites(
  'a port in use',
  (proxy) => {
    it('8080, 9253 or 9353: the agent serves DNS, and the endpoint once the port is free', () =>
      withSite(proxy, async ({ cluster, nodens }) => {
        const occupier = await squat(cluster, 'tcp:8080', 'tcp:9253', 'tcp:9353');
        const dropIn = nodens.startDropIn();
        await until('init to intercept', () => dropIn.log().includes('"state":"intercepting"'));
        await assertAnswered(cluster, 'ports');
        assert.match(
          cluster.wayOf(`ports.${ZONE}`).join(),
          /^dns[12] tcp$/,
          'the agent did not ask kube-dns',
        );

        const logged = lines(dropIn, 'admin-port');
        const addresses = [`${V4.local}:8080`, ':9253', '0.0.0.0:9353'].sort();
        assert.deepEqual(logged.map(({ address }) => String(address)).sort(), addresses);
        for (const { remedy, errno } of logged) {
          assert.equal(errno, 'EADDRINUSE');
          assert.match(String(remedy), /^ss -ltnp 'sport = :(8080|9253|9353)' names the process/);
        }
        const [serving] = lines(dropIn, 'serving');
        assert.deepEqual(
          serving?.pages,
          [],
          'the agent lists an endpoint that no client can reach',
        );
        const upstreams = serving?.upstreams as string[];
        assert.deepEqual(upstreams, [...new Set(upstreams)]);

        await occupier.stop('SIGKILL');
        const health = (): Promise<string> =>
          httpGet(cluster.node, `http://${V4.local}:8080/health`).catch(() => '');
        await until('/health', async () => (await health()) === 'OK');
        const samples = await until('/metrics', () =>
          metrics(cluster.node, METRICS_URL).catch(() => undefined),
        );
        for (const address of addresses)
          assert.ok(total(samples, 'nodens_admin_listen_errors_total', `"${address}"`) > 0);
      }));

    it('0.0.0.0:53, used by a program that shares it: the agent serves the local IPs', () =>
      withSite(proxy, async (site) => {
        await squat(site.cluster, 'udp:53:shared');
        const [init, agent] = [site.nodens.startInit(), site.nodens.startAgent()];
        await intercepting(site, [init, agent]);
        await assertAnswered(site.cluster, 'shared');
        assert.match(site.cluster.wayOf(`shared.${ZONE}`).join(), /^dns[12] tcp$/);
      }));

    for (const ports of [['udp:53'], ['tcp:53'], ['udp:53', 'tcp:53']])
      it(`0.0.0.0:53 (${ports.join(', ')}), not shared: kube-dns serves, the agent waits`, () =>
        withSite(proxy, async (site) => {
          const { cluster, nodens } = site;
          const occupier = await squat(cluster, ...ports);
          const init = nodens.startInit();
          const agent = nodens.startAgent();
          await until(
            'the agent to log the port in use',
            () => lines(agent, 'port-taken').length > 0,
          );
          await until('init to be set up', () => init.log().includes('"msg":"set up"'));
          const [logged] = lines(agent, 'port-taken');
          assert.match(String(logged?.msg), /cannot bind 169\.254\.20\.10:53\/(udp|tcp)/);
          assert.match(String(logged?.remedy), /ss -lntup 'sport = :53'/);
          await assertAnswered(cluster, 'taken');
          assert.ok(occupier.running, `the occupier has ended: ${occupier.tail()}`);
          const rules = [...(await ruleCounters(cluster.node)).keys()];
          assert.deepEqual(
            rules.filter((rule) => rule.startsWith('query-')),
            [],
          );
          // The agent opens its pages whenever it has the time, and DNS is not what it waits for.
          await until('the agent to count the port in use', async () => {
            const samples = await metrics(cluster.node, METRICS_URL).catch(() => []);
            return total(samples, 'nodens_listen_errors_total', '"EADDRINUSE"') > 0;
          });
          await occupier.stop('SIGKILL');
          await intercepting(site, [init, agent]);
        }));
  },
  ['nft'],
);
