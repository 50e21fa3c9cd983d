/** Another program holds the lock of legacy iptables while nodens starts and stops: serving and stopping continue. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { it } from 'node:test';
import { V4 } from '../../support/cluster/plan.ts';
import { Nodens } from '../../support/cluster/process/nodens.ts';
import { programs } from '../../support/cluster/process/programs.ts';
import { timed, until } from '../../support/cluster/process/wait.ts';
import type { ProxyKind } from '../../support/cluster/proxy/proxy.ts';
import { intercepting, type Site } from '../../support/cluster/site.ts';
import { allowedMs } from '../../support/machine.ts';
import {
  BackgroundLoad,
  QUERIES_PER_MS,
  type Seen,
  stallIn,
} from '../../support/netns/background-load.ts';
import { pause, queryRules, ROUNDS } from '../../support/netns/faults.ts';
import { LEGACY_RULE } from '../../support/netns/init.ts';
import { describeSites, withSite } from '../../support/netns/sites.ts';

/** How long the lock is held; longer than the 5 s that a command of init waits for it. */
const HOLD_MS = ROUNDS > 1 ? 60_000 : 6_000;
/** The agent's and init's bounds for a withdrawal, and the time of their own work. */
const STOP_MS = 10_000;

/** nodens with its own lock file instead of the machine's, on a node on which legacy iptables is in use. */
async function withLock({ cluster }: Site): Promise<{ nodens: Nodens; lock: string }> {
  const { node, runDir } = cluster;
  await node.must(['iptables-legacy', ...LEGACY_RULE]);
  const dir = `${runDir}/locked`;
  const [lock, wrapper] = [`${dir}/xtables.lock`, `${dir}/node`];
  mkdirSync(dir);
  const { node: executable, nodens } = await programs(runDir);
  writeFileSync(wrapper, `#!/bin/sh\nXTABLES_LOCKFILE=${lock} exec ${executable} "$@"\n`);
  chmodSync(wrapper, 0o755);
  const addresses = { linkLocal: [V4.local], vips: [V4.vip] };
  const options = { node, runDir: dir, addresses, programs: { node: wrapper, nodens } };
  return { nodens: new Nodens(options), lock };
}

/** Holds the lock until the returned function is called. */
async function hold(lock: string): Promise<() => Promise<void>> {
  const holder: ChildProcess = spawn(
    'flock',
    ['-F', lock, 'sh', '-c', 'echo held; exec sleep 120'],
    {
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  const ended = new Promise<void>((resolve) => {
    holder.once('exit', () => resolve());
  });
  await new Promise((resolve) => {
    holder.stdout?.once('data', resolve);
  });
  return async () => {
    holder.kill('SIGKILL');
    await ended;
  };
}

async function assertServed(seen: readonly Seen[]): Promise<void> {
  const stallMs = stallIn(seen);
  const maxGapMs = (await allowedMs(50)) + stallMs;
  const maxShare = (await allowedMs(1)) / 1_000;
  for (const { where, transport, server, sent, lost, gapMs } of seen) {
    const what = `${where}'s ${transport} to ${server}: ${lost} of ${sent} lost, ${gapMs} ms`;
    assert.ok(lost <= sent * maxShare + stallMs * QUERIES_PER_MS && gapMs < maxGapMs, what);
  }
}

const locked = (): void => {
  it(`held ${HOLD_MS / 1_000} s at start and stop: clients are served, both stop in time`, () =>
    withSite('iptables', async (site) => {
      const { nodens, lock } = await withLock(site);
      let release = await hold(lock);
      const clients = await BackgroundLoad.start(site, { servers: [V4.vip] });
      const [init, agent] = [nodens.startInit('--backend', 'iptables'), nodens.startAgent()];
      await pause(HOLD_MS);
      assert.ok(init.running && agent.running, init.tail());
      assert.deepEqual(await queryRules(site), [], 'init installed query rules without the lock');
      await until('init to give up a wait for the lock', () =>
        init.log().includes('"errortype":"iptables_lock"'),
      );
      await release();
      await intercepting(site, [init, agent]);
      await until('query rules', async () => (await queryRules(site)).length > 0, 15_000);
      const seen = await clients.stop();
      await assertServed(seen);

      release = await hold(lock);
      const pods = await BackgroundLoad.start(site, { wheres: ['pod'] });
      const [codes, tookMs] = await timed(async () => [await agent.stop(), await init.stop()]);
      await pause(500);
      const stopped = await pods.stop();
      await release();
      const gaps = [...seen, ...stopped].map(({ gapMs }) => gapMs);
      process.stdout.write(
        `# lock held ${HOLD_MS / 1_000} s: longest gap ${Math.max(...gaps).toFixed(0)} ms, stopped after ${tookMs.toFixed(0)} ms\n`,
      );
      assert.deepEqual(codes, [0, 0]);
      const stopMs = await allowedMs(STOP_MS);
      assert.ok(tookMs < stopMs, `${tookMs} ms`);
      await assertServed(stopped);
    }));
};

describeSites(
  "another program's xtables lock",
  locked as (proxy: ProxyKind) => void,
  ['iptables'],
  400_000,
);
