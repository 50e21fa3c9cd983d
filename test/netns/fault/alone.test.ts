/** What the kernel does alone: an agent is killed while init hears nothing, and nobody is left to take its rules away. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { until } from '../../support/cluster/process/wait.ts';
import { PROXIES, type ProxyKind } from '../../support/cluster/proxy/proxy.ts';
import { type Running, type Site, startNodens } from '../../support/cluster/site.ts';
import { slowness } from '../../support/machine.ts';
import {
  lostQueries,
  QUERIES_PER_MS,
  SteadyClients,
  stallIn,
} from '../../support/netns/background-load.ts';
import { assertSettled, boundToAgent, pause, queryRules } from '../../support/netns/faults.ts';
import { describeSites, withSite } from '../../support/netns/sites.ts';

const MAX_GAP_MS = 50;
/** Of 5,000 a second: 0.5 %. */
const MAX_LOST = 25;
/** Rounds of which the one in the middle counts for what is lost. */
const ROUNDS = Number(process.env.NODENS_CHAOS_ROUNDS ?? 3);

/** Tables that mark queries while an agent lives. */
async function aliveTables({ cluster }: Site): Promise<string[]> {
  const { stdout } = await cluster.node.run(['nft', 'list', 'tables']);
  return [...stdout.matchAll(/nodens_alive_\w+/g)].map(([name]) => name);
}

/** Starts both; resolves when queries are led only while the agent is alive. */
async function startBound(site: Site): Promise<Running> {
  const running = await startNodens(site);
  await boundToAgent(site);
  return running;
}

const alone = (proxy: ProxyKind): void => {
  it('kill -9 of the agent while init is stopped: kube-dns serves pods and host at once', () =>
    withSite(proxy, async (site) => {
      const [lost, excess]: [number[], number[]] = [[], []];
      for (let round = 0; round < ROUNDS; round++) {
        const { init, agent } = await startBound(site);
        const clients = await SteadyClients.start(site);
        await pause(500);
        init.signal('SIGSTOP');
        agent.signal('SIGKILL');
        await agent.exited;
        await until('the mark is gone', async () => (await aliveTables(site)).length === 0);
        await pause(300);
        assert.ok((await queryRules(site)).length > 0, 'init has not taken them away');
        const seen = (await clients.stop()).filter(({ transport }) => transport === 'udp');
        const stallMs = stallIn(seen);
        const isGood = seen.every(({ gapMs }) => gapMs <= MAX_GAP_MS);
        const slow = isGood && lostQueries(seen) <= MAX_LOST ? 1 : await slowness();
        lost.push(lostQueries(seen));
        excess.push(lostQueries(seen) - MAX_LOST * slow - stallMs * QUERIES_PER_MS);
        for (const { where, server, gapMs } of seen)
          assert.ok(gapMs <= MAX_GAP_MS * slow + stallMs, `${where}'s to ${server}: ${gapMs} ms`);
        await init.stop('SIGKILL');
      }
      process.stdout.write(`# kill -9 of the agent, init stopped: lost ${lost.join(', ')}\n`);
      const median = excess.toSorted((a, b) => a - b)[ROUNDS >> 1] as number;
      assert.ok(median <= 0, `${lost.join(', ')} lost, ${excess.join(', ')} over what is allowed`);
    }));

  it('an agent that leaves while init is stopped withdraws all the same', () =>
    withSite(proxy, async (site) => {
      const leaveMs = async (): Promise<number> => {
        const { init, agent } = await startBound(site);
        const clients = await SteadyClients.start(site);
        init.signal('SIGSTOP');
        assert.equal(await agent.stop(), 0);
        assert.deepEqual(await aliveTables(site), []);
        await pause(300);
        const seen = await clients.stop();
        const lost = lostQueries(seen) - stallIn(seen) * QUERIES_PER_MS;
        assert.ok(lost <= MAX_LOST || lost <= MAX_LOST * (await slowness()), `${lost} lost`);
        await init.stop('SIGKILL');
        const gaps = seen.map(
          (one) => `${one.where}'s ${one.transport} to ${one.server} ${one.gapMs.toFixed(0)}`,
        );
        process.stdout.write(`# left, init stopped: gaps ms ${gaps.join(', ')}\n`);
        return Math.max(...seen.map(({ gapMs }) => gapMs));
      };
      await assertSettled('gap', MAX_GAP_MS, leaveMs);
    }));

  it('an agent leaves nothing, and neither does an init', () =>
    withSite(proxy, async (site) => {
      const { init, agent } = await startBound(site);
      assert.equal((await aliveTables(site)).length, 1);
      assert.equal(await init.stop('SIGKILL'), -1);
      await until('no mark without init', async () => (await aliveTables(site)).length === 0);
      const again = site.nodens.startInit();
      await until('marked anew', async () => (await aliveTables(site)).length === 1);
      assert.equal(await agent.stop(), 0);
      assert.deepEqual(await aliveTables(site), []);
      assert.equal(await again.stop(), 0);
    }));
};

describeSites(
  'what the kernel does alone',
  alone,
  process.env.NODENS_CHAOS_ROUNDS === undefined ? ['nft'] : PROXIES,
);
