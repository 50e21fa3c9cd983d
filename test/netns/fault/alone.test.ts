/**
 * The agent ends while init hangs, so that no process removes its rules. Pods are served at once: their rules match only
 * while the agent's socket exists. Host-network clients are refused until init runs again.
 */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { PROXIES, type ProxyKind } from '../../support/cluster/proxy/proxy.ts';
import { type Running, startNodens } from '../../support/cluster/site.ts';
import { slowness } from '../../support/machine.ts';
import {
  BackgroundLoad,
  lostQueries,
  QUERIES_PER_MS,
  type Seen,
  stallIn,
} from '../../support/netns/background-load.ts';
import { pause, queryRules } from '../../support/netns/faults.ts';
import { describeSites, withSite } from '../../support/netns/sites.ts';

const MAX_GAP_MS = 50;
/** 0.5 % of the 2,500 queries a second of pods. */
const MAX_LOST = 12;
/** Rounds; the median of the lost queries counts. */
const ROUNDS = Number(process.env.NODENS_CHAOS_ROUNDS ?? 3);
/** How long init hangs. */
const HANG_MS = 500;

type End = (agent: Running['agent']) => Promise<void>;

const udpOf = (seen: readonly Seen[], where: Seen['where']): Seen[] =>
  seen.filter((one) => one.where === where && one.transport === 'udp');

/** Lost queries of pods: above the limit on this machine, and in total. */
function lossOf(pods: readonly Seen[], slow: number): { lost: number; excess: number } {
  const lost = lostQueries(pods);
  return { lost, excess: lost - MAX_LOST * slow - stallIn(pods) * QUERIES_PER_MS };
}

const alone = (end: End) => (proxy: ProxyKind) =>
  withSite(proxy, async (site) => {
    const losses: { lost: number; excess: number }[] = [];
    const hostGapsMs: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const { init, agent } = await startNodens(site);
      const clients = await BackgroundLoad.start(site);
      await pause(500);
      init.signal('SIGSTOP');
      await end(agent);
      const endedMs = performance.now();
      await pause(HANG_MS);
      assert.ok(
        (await queryRules(site)).length > 0,
        'init removed the query rules: it was not frozen',
      );
      init.signal('SIGCONT');
      const hangMs = performance.now() - endedMs;
      await pause(HANG_MS);
      assert.deepEqual(await queryRules(site), []);
      const seen = await clients.stop();
      const [pods, hosts] = [udpOf(seen, 'pod'), udpOf(seen, 'host')];
      const isGood =
        pods.every(({ gapMs }) => gapMs <= MAX_GAP_MS) &&
        hosts.every(({ gapMs }) => gapMs <= hangMs + MAX_GAP_MS);
      const slow = isGood && lostQueries(pods) <= MAX_LOST ? 1 : await slowness();
      losses.push(lossOf(pods, slow));
      for (const [allMs, clientsOf] of [[0, pods] as const, [hangMs, hosts] as const])
        for (const { where, server, gapMs } of clientsOf) {
          const maxMs = allMs + MAX_GAP_MS * slow + stallIn(seen);
          assert.ok(gapMs <= maxMs, `${where}'s to ${server}: ${gapMs} ms of ${maxMs}`);
        }
      hostGapsMs.push(...hosts.map(({ gapMs }) => gapMs - hangMs));
      await init.stop('SIGKILL');
    }
    const lost = losses.map((one) => one.lost).join(', ');
    process.stdout.write(
      `# init stopped for ${HANG_MS} ms: of 2,500 queries a second of pods lost ${lost}; ` +
        `host's gaps beyond that ms ${hostGapsMs.map((ms) => ms.toFixed(0)).join(', ')}\n`,
    );
    const excess = losses.map((one) => one.excess).toSorted((a, b) => a - b);
    assert.ok((excess[ROUNDS >> 1] as number) <= 0, `${lost} lost, ${excess.join(', ')} over`);
  });

describeSites(
  'the agent ends while init hangs',
  (proxy) => {
    it('SIGKILL: kube-dns serves pods at once, and the host as soon as init runs', () =>
      alone(async (agent) => {
        agent.signal('SIGKILL');
        await agent.exited;
      })(proxy));

    it('SIGTERM: kube-dns serves pods at once, and the host as soon as init runs', () =>
      alone(async (agent) => assert.equal(await agent.stop(), 0))(proxy));
  },
  process.env.NODENS_CHAOS_ROUNDS === undefined ? ['nft'] : PROXIES,
);
