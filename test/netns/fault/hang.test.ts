/** The agent runs but does not answer: frozen, its event loop blocked, its receive queue full. kube-dns takes over. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { it } from 'node:test';
import { V4 } from '../../support/cluster/plan.ts';
import { Nodens } from '../../support/cluster/process/nodens.ts';
import { programs } from '../../support/cluster/process/programs.ts';
import { must } from '../../support/cluster/process/run.ts';
import { timed, until } from '../../support/cluster/process/wait.ts';
import { PROXIES, type ProxyKind } from '../../support/cluster/proxy/proxy.ts';
import { intercepting, type Running, type Site } from '../../support/cluster/site.ts';
import { allowedMs } from '../../support/machine.ts';
import { BackgroundLoad, lostQueries, type Seen } from '../../support/netns/background-load.ts';
import { pause, queryRules, ROUNDS } from '../../support/netns/faults.ts';
import { describeSites, withSite } from '../../support/netns/sites.ts';

/** Pods are served again within this. */
const MAX_GAP_MS = await allowedMs(3_000);
/** The duration of the agent's hang; longer in `npm run chaos`. */
const HANG_MS = ROUNDS > 1 ? 10_000 : 1_000 * Math.ceil(await allowedMs(4));
/** After the hang the agent answers again; init does not trust it for a minute. */
const AFTERWARDS_MS = 1_500;
const FLOOD_PER_SECOND = 15_000;
/** The last of the ports of init's probes. */
const FLOOD_PORT = 20_260;

const source = (file: string): string =>
  new URL(`../../support/clients/${file}`, import.meta.url).pathname;

/** Starts nodens with an agent whose event loop SIGUSR2 blocks, for a `share` of the time. */
async function startBlockable(site: Site, share: number): Promise<Running> {
  const { node, runDir } = site.cluster;
  const [dir, blocker] = [`${runDir}/blockable`, `${runDir}/block.mjs`];
  mkdirSync(dir);
  const { node: executable, nodens } = await programs(runDir);
  await must(['cp', source('block.mjs'), blocker]);
  const wrapper = `${runDir}/node-blockable`;
  const url = `file://${blocker}?ms=${HANG_MS}&share=${share}`;
  writeFileSync(wrapper, `#!/bin/sh\nexec ${executable} '--import=${url}' "$@"\n`);
  for (const file of [wrapper, blocker]) chmodSync(file, 0o755);
  const started = new Nodens({
    ...{ node, runDir: dir, addresses: { linkLocal: [V4.local], vips: [V4.vip] } },
    programs: { node: wrapper, nodens },
  });
  const running = { init: started.startInit(), agent: started.startAgent() };
  await intercepting(site, [running.init, running.agent]);
  await until('query rules', async () => (await queryRules(site)).length > 0);
  return running;
}

/** Makes the agent hang while clients ask; checks that they were served, and that init withdrew interception once. */
async function hang(
  site: Site,
  what: string,
  { init }: Running,
  begin: () => void,
  end: () => Promise<void>,
): Promise<readonly Seen[]> {
  const clients = await BackgroundLoad.start(site);
  await pause(300);
  const [, tookMs] = await timed(async () => {
    begin();
    await until(
      'init to withdraw',
      async () => (await queryRules(site)).length === 0,
      2 * MAX_GAP_MS,
    );
  });
  await end();
  await pause(AFTERWARDS_MS);
  assert.deepEqual(await queryRules(site), [], 'init intercepts before the hold-off is over');
  const seen = await clients.stop();
  const gaps = seen.map(({ gapMs }) => gapMs.toFixed(0)).join(' ');
  process.stdout.write(
    `# ${what}: rules gone after ${tookMs.toFixed(0)} ms, ${lostQueries(seen)} queries lost, gaps ms ${gaps}\n`,
  );
  for (const { where, transport, server, gapMs } of seen)
    assert.ok(gapMs < MAX_GAP_MS, `${where}'s ${transport} to ${server}: ${gapMs} ms`);
  assert.equal(
    init.log().split('agent does not answer probes').length - 1,
    1,
    'not exactly one flap',
  );
  return seen;
}

const hanging = (proxy: ProxyKind): void => {
  it('SIGSTOP: kube-dns serves within 3 s, after one withdrawal', () =>
    withSite(proxy, async (site) => {
      const running = await startBlockable(site, 1);
      const { agent } = running;
      const thaw = async (): Promise<void> => {
        await pause(500);
        agent.signal('SIGCONT');
      };
      const seen = await hang(
        site,
        `SIGSTOP, ${proxy}`,
        running,
        () => agent.signal('SIGSTOP'),
        thaw,
      );
      assert.ok(lostQueries(seen) > 0, 'no query was lost: the agent was not frozen');
    }));

  it(`event loop blocked for ${HANG_MS / 1_000} s: kube-dns serves within 3 s, with one flap`, () =>
    withSite(proxy, async (site) => {
      const running = await startBlockable(site, 1);
      const startMs = performance.now();
      const rest = (): Promise<void> => pause(Math.max(0, HANG_MS - (performance.now() - startMs)));
      const block = (): void => running.agent.signal('SIGUSR2');
      const seen = await hang(site, `blocked, ${proxy}`, running, block, rest);
      assert.ok(lostQueries(seen) > 0, 'no query was lost: the event loop was not blocked');
    }));

  it('a receive queue that overflows: kube-dns serves within 3 s, with one flap', () =>
    withSite(proxy, async (site) => {
      const running = await startBlockable(site, 0.95);
      const { node, runDir } = site.cluster;
      const program = `${runDir}/flood`;
      await must(['musl-gcc', '-static', '-O2', '-Wall', '-o', program, source('flood.c')]);
      let flood: Promise<unknown> = Promise.resolve();
      const begin = (): void => {
        running.agent.signal('SIGUSR2');
        const times = [`${FLOOD_PORT}`, `${FLOOD_PER_SECOND}`, `${HANG_MS / 1_000}`];
        flood = Promise.all([
          node.must([program, V4.vip, ...times], { timeoutMs: 10 * HANG_MS }),
          node.must([program, V4.local, ...times], { timeoutMs: 10 * HANG_MS }),
        ]);
      };
      const end = async (): Promise<void> => void (await flood);
      await hang(site, `receive queue full, ${proxy}`, running, begin, end);
    }));
};

describeSites(
  'an agent that hangs',
  hanging,
  ROUNDS > 1 ? PROXIES : ['nft'],
  300_000 + ROUNDS * 60_000,
);
