/** Restarts without an overlap, under load: of the agent's container, and of the whole pod. Clients notice only latency. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Cluster } from '../../support/cluster/cluster.ts';
import { V4 } from '../../support/cluster/plan.ts';
import type { ProxyKind } from '../../support/cluster/proxy/proxy.ts';
import { intercepting, type Site, startNodens } from '../../support/cluster/site.ts';
import { allowedMs, slowness } from '../../support/machine.ts';
import { pause } from '../../support/netns/faults.ts';
import { type Load, load, percentile } from '../../support/netns/load.ts';
import { describeSites, withSite } from '../../support/netns/sites.ts';
import { type TcpLoadResult, tcpLoad } from '../../support/netns/tcp-load.ts';

const ROUNDS = Number(process.env.NODENS_CHAOS_ROUNDS ?? 1);
/** A higher rate fills queues on a slow machine, with or without a restart. */
const RATE = Number(process.env.NODENS_RESTART_RATE ?? Math.floor(500 / (await slowness())));
const MAX_SECONDS = 60 + ROUNDS * 15;
/** Time for the clients to reach their full rate. */
const SETTLE_MS = 500;
/** No client asks twice: a resolver would repeat a query that takes longer than this. */
const PATIENCE_MS = await allowedMs(1_000);
const NAMES = Array.from({ length: 200 }, (_, i) => `load${i}.any.default.svc.cluster.local`);

interface Loads {
  readonly udp: readonly Load[];
  readonly tcp: readonly TcpLoadResult[];
  /** Datagrams dropped at full sockets of kube-dns or of an agent: on a busy machine a server reads them late. */
  readonly overflown: number;
}

/** Datagrams that the kernel has dropped because the sockets of the agent or of the name servers were full. */
async function overflown({ node, pods, namespaces }: Cluster): Promise<number> {
  const servers = namespaces.filter((netns) => netns === node || !pods.includes(netns));
  const counted = servers.map(async (netns) => {
    const [names = '', values = ''] = (await netns.must(['grep', '^Udp:', '/proc/net/snmp'])).split(
      '\n',
    );
    return Number(values.split(' ')[names.split(' ').indexOf('RcvbufErrors')]);
  });
  return (await Promise.all(counted)).reduce((sum, count) => sum + count, 0);
}

/** Asks the VIP and the link-local address, over both transports, while `work` runs. */
async function under(cluster: Cluster, work: () => Promise<void>): Promise<Loads> {
  const [first, second] = cluster.pods;
  const until = work();
  const udp = { names: NAMES, perSecond: RATE, seconds: MAX_SECONDS, dir: cluster.runDir, until };
  const [udpLoads, tcpLoads] = await Promise.all([
    Promise.all([
      load(first, { server: V4.vip, ...udp }),
      load(second, { server: V4.local, ...udp }),
    ]),
    Promise.all([
      tcpLoad(first, { server: V4.vip, clients: 4, until }),
      tcpLoad(second, { server: V4.local, clients: 4, until }),
    ]),
    until,
  ]);
  return { udp: udpLoads, tcp: tcpLoads, overflown: await overflown(cluster) };
}

function judge(what: string, { udp, tcp, overflown: dropped }: Loads): void {
  const sum = (key: keyof TcpLoadResult): number => tcp.reduce((all, one) => all + one[key], 0);
  const worstMs = (share: number): number => Math.max(...udp.map((one) => percentile(one, share)));
  const sent = udp.reduce((all, one) => all + one.sent, 0);
  const lost = udp.reduce((all, one) => all + (one.outcomes.lost ?? 0), 0);
  process.stdout.write(
    `# ${ROUNDS} restarts of ${what}: UDP ${lost} of ${sent} lost (${dropped} at full sockets), p99 ${worstMs(0.99).toFixed(1)} ms, ` +
      `worst ${worstMs(1).toFixed(0)} ms; TCP ${sum('reset')} of ${sum('answered')} cut off, ` +
      `${sum('closed')} asked again after a FIN, slowest ${Math.max(...tcp.map(({ slowestMs }) => slowestMs))} ms\n`,
  );
  const answered = udp.reduce((all, one) => all + (one.outcomes.NOERROR ?? 0), 0);
  assert.equal(answered + lost, sent, JSON.stringify(udp.map(({ outcomes }) => outcomes)));
  assert.ok(lost <= dropped, `${lost} lost, ${dropped} of them at full sockets`);
  assert.ok(worstMs(1) < PATIENCE_MS, `${worstMs(1)} ms`);
  assert.deepEqual([sum('lost'), sum('reset')], [0, 0]);
}

async function again(site: Site, restart: () => Promise<void>): Promise<Loads> {
  return under(site.cluster, async () => {
    await pause(SETTLE_MS);
    for (let round = 0; round < ROUNDS; round++) await restart();
  });
}

describeSites(
  'a restart under load',
  (proxy: ProxyKind) => {
    it(`of the agent's container, ${ROUNDS} times, while init runs`, () =>
      withSite(proxy, async (site) => {
        const { init, agent } = await startNodens(site);
        let running = agent;
        const loads = await again(site, async () => {
          assert.equal(await running.stop(), 0);
          running = site.nodens.startAgent();
          await intercepting(site, [init, running]);
        });
        judge(`the agent, ${proxy}`, loads);
      }));

    it(`of the pod, ${ROUNDS} times`, () =>
      withSite(proxy, async (site) => {
        let running = await startNodens(site);
        const loads = await again(site, async () => {
          assert.equal(await running.agent.stop(), 0);
          assert.equal(await running.init.stop(), 0);
          running = await startNodens(site);
        });
        judge(`the pod, ${proxy}`, loads);
      }));
  },
  undefined,
  300_000 + ROUNDS * 30_000,
);
