/**
 * A node with the rules of thousands of Services: init takes no more memory and no more time than on an empty one, the
 * fallback stands, and the doctor sees what it has to.
 */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Finding } from '../../../init/doctor/facts.ts';
import { dig } from '../../support/cluster/clients/dig.ts';
import { V4 } from '../../support/cluster/plan.ts';
import { programs } from '../../support/cluster/process/programs.ts';
import { timed, until } from '../../support/cluster/process/wait.ts';
import type { ProxyKind } from '../../support/cluster/proxy/proxy.ts';
import { intercepting, type Running, type Site } from '../../support/cluster/site.ts';
import { allowedMs } from '../../support/machine.ts';
import { addServices } from '../../support/netlink/large-rulesets.ts';
import { MemoryGroup } from '../../support/netns/memory-group.ts';
import { sayLeftOut } from '../../support/netns/netns.ts';
import { describeSites, withSite } from '../../support/netns/sites.ts';

const MEBI = 2 ** 20;
const TABLE_NAMES = fileURLToPath(new URL('../../support/netlink/table-names.ts', import.meta.url));
/** Rules of iptables, and lines of nft. */
const SIZES: Readonly<Record<ProxyKind, number>> = { iptables: 134_000, nft: 100_000 };
/** The most that init and its children may take at any moment. */
const PEAK_BYTES = 64 * MEBI;
/** How much later than on an empty node interception may start. */
const LATER_MS = 2_000;

interface Start extends Running {
  readonly tookMs: number;
  readonly group: MemoryGroup | undefined;
}

async function start(site: Site): Promise<Start> {
  const group = MemoryGroup.make();
  const agent = site.nodens.startAgent();
  const init = site.nodens.startInit();
  group?.add(init.pid);
  const [, tookMs] = await timed(() => intercepting(site, [init, agent]));
  await until('the fallback', () => isReady(init.log()));
  return { init, agent, tookMs, group };
}

/** Whether init has logged a fallback for the link-local address. */
function isReady(log: string): boolean {
  return log
    .split('\n')
    .some((line) => line.includes('"msg":"fallback"') && line.includes(`"${V4.local}"`));
}

async function stop({ init, agent, group }: Start): Promise<void> {
  await agent.stop();
  await init.stop();
  await group?.remove();
}

async function doctor({ cluster }: Site): Promise<readonly Finding[]> {
  const { node: program, nodens } = await programs(cluster.runDir);
  const argv = [program, nodens, 'doctor', '--json', '--kubedns', V4.upstreamVip];
  const { stdout, stderr } = await cluster.node.run(argv, { timeoutMs: 20_000 });
  assert.notEqual(stdout, '', stderr);
  return (JSON.parse(stdout) as { findings: readonly Finding[] }).findings;
}

/** Whether the fallback answers a pod on the link-local address. */
async function isServed({ cluster }: Site): Promise<boolean> {
  const name = 'kubernetes.default.svc.cluster.local';
  const { status } = await dig(cluster.pods[0], { server: V4.local, name, timeoutSeconds: 2 });
  return status === 'NOERROR';
}

describeSites('a node with thousands of Services', (proxy: ProxyKind) => {
  it(`init beside ${SIZES[proxy]} ${proxy === 'nft' ? 'lines' : 'rules'} of kube-proxy`, () =>
    withSite(proxy, async (site) => {
      if (!MemoryGroup.isPossible)
        sayLeftOut('the memory of init (needs a writable memory cgroup)');
      const alone = await start(site);
      await stop(alone);
      await addServices(site.cluster.node, proxy, SIZES[proxy]);

      const { init, agent, tookMs, group } = await start(site);
      const [peak, used] = [group?.peakBytes ?? 0, group?.usedBytes ?? 0];
      process.stdout.write(
        `# ${proxy}: intercepted after ${tookMs.toFixed(0)} ms (${alone.tookMs.toFixed(0)} before), ` +
          `peak ${(peak / MEBI).toFixed(1)} MiB, ${(used / MEBI).toFixed(1)} MiB now\n`,
      );
      assert.doesNotMatch(init.log(), /"level":"(warn|error)"/);
      assert.equal(group?.oomKills ?? 0, 0);
      const findings = await doctor(site);
      const odd = findings.filter(({ verdict }) => verdict === 'fail' || verdict === 'unseen');
      assert.deepEqual(odd, []);
      const mode = findings.find(({ id }) => id === 'kube-proxy')?.message;
      assert.equal(mode, proxy === 'nft' ? 'nftables' : 'iptables');
      agent.signal('SIGKILL');
      await until('the fallback to answer', () => isServed(site));
      assert.deepEqual(await ownQueryRules(site), []);
      assert.ok(peak <= PEAK_BYTES, `init's memory had a peak of ${peak / MEBI} MiB`);
      const allowed = alone.tookMs + (await allowedMs(LATER_MS));
      assert.ok(tookMs <= allowed, `interception after ${tookMs} ms, allowed are ${allowed}`);
      await init.stop();
      await group?.remove();
    }));
});

async function ownQueryRules({ cluster }: Site): Promise<string[]> {
  const tables = await cluster.node.must([process.execPath, TABLE_NAMES]);
  return [...tables.matchAll(/nodens_query_\S+/g)].map(([name]) => name);
}
