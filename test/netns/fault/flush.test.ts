/** Another program flushes rules, removes an address or sets a link down: init repairs it within a second. Clients are served. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { V4 } from '../../support/cluster/plan.ts';
import { timed, until } from '../../support/cluster/process/wait.ts';
import type { ProxyKind } from '../../support/cluster/proxy/proxy.ts';
import { type Site, startNodens } from '../../support/cluster/site.ts';
import { BackgroundLoad, lostQueries, type Seen } from '../../support/netns/background-load.ts';
import { assertSettled, pause, queryRules } from '../../support/netns/faults.ts';
import { LEGACY_RULE } from '../../support/netns/init.ts';
import { describeSites, withSite } from '../../support/netns/sites.ts';

const REPAIR_MS = 1_000;
/** A client's kernel retransmits a SYN after this time, even if the repair was faster. */
const SECOND_SYN_MS = 1_000;
/** Longer than any test: no repair here comes from the periodic check. */
const NO_SYNC = ['--syncinterval', '1h'];

/** The state of nodens's rules and addresses, without counters and handles. */
async function setup({ cluster }: Site): Promise<string> {
  const { stdout: rules } = await cluster.node.run(['nft', '-s', 'list', 'ruleset']);
  const { stdout: saved } = await cluster.node.run(['iptables-legacy-save', '-t', 'raw']);
  const links = await cluster.node.ip('-o', 'addr', 'show', 'dev', 'lo');
  const ours = [...`${rules}\n${saved}`.matchAll(/nodens:[\w:-]+/g)].map(([tag]) => tag);
  const up = (await cluster.node.ip('link', 'show', 'dev', 'lo')).includes('UP,LOWER_UP');
  const addresses = [V4.vip, V4.local].filter((ip) => links.includes(`inet ${ip}/`));
  return [...ours.sort(), ...addresses, `lo up: ${up}`].join('\n');
}

/** Does the damage while clients ask; returns its duration and the results of the clients. */
async function repair(
  site: Site,
  damage: readonly string[],
): Promise<{ tookMs: number; seen: readonly Seen[] }> {
  const before = await setup(site);
  const clients = await BackgroundLoad.start(site);
  await site.cluster.node.must(damage);
  const [, tookMs] = await timed(() =>
    until(`repaired: ${damage.join(' ')}`, async () => (await setup(site)) === before),
  );
  await pause(200);
  return { tookMs, seen: await clients.stop() };
}

/** The duration of a repair, or of a client's gap, milliseconds. */
async function repairMs(site: Site, damage: readonly string[]): Promise<number> {
  const { tookMs, seen } = await repair(site, damage);
  const gapOf = (transport: Seen['transport']): number =>
    Math.max(...seen.map((one) => (one.transport === transport ? one.gapMs : 0)));
  const [udpMs, tcpMs] = [gapOf('udp'), gapOf('tcp')];
  process.stdout.write(
    `# ${damage.join(' ')}: repaired after ${tookMs.toFixed(0)} ms, longest gap ${udpMs.toFixed(0)} ms, ` +
      `by TCP ${tcpMs.toFixed(0)} ms, ${lostQueries(seen)} queries lost\n`,
  );
  return Math.max(tookMs, udpMs, tcpMs - SECOND_SYN_MS);
}

const assertRepaired = (site: Site, damage: readonly string[]): Promise<void> =>
  assertSettled(damage.join(' '), REPAIR_MS, () => repairMs(site, damage));

describeSites(
  'damage by other programs',
  (proxy: ProxyKind) => {
    it('init repairs nft flush, ip addr del and link down in 1 s; pods and host are served', () =>
      withSite(proxy, async (site) => {
        await startNodens(site, ...NO_SYNC);
        for (const damage of [
          ['nft', 'flush', 'table', 'inet', 'nodens_standing_main'],
          ['ip', 'addr', 'del', `${V4.vip}/32`, 'dev', 'lo'],
          ['ip', 'link', 'set', 'lo', 'down'],
        ])
          await assertRepaired(site, damage);
      }));

    it('init repairs a flush of legacy iptables in 1 s; pods and host are served', () =>
      withSite(proxy, async (site) => {
        const { node } = site.cluster;
        await node.must(['iptables-legacy', ...LEGACY_RULE]);
        const { init } = await startNodens(site, '--backend', 'iptables', ...NO_SYNC);
        assert.match(init.log(), /"backend":"iptables-legacy"/);
        await until('query rules', async () => (await queryRules(site)).length > 0);
        for (const damage of [
          ['iptables-legacy', '-w', '5', '-t', 'raw', '-F'],
          ['iptables-legacy', '-w', '5', '-t', 'raw', '-F', 'NODENS-QUERY-OUTPUT'],
        ])
          await assertRepaired(site, damage);
        const said = init.log().split('"event":"rules-restored"').length;
        await pause(1_500);
        assert.equal(
          init.log().split('"event":"rules-restored"').length,
          said,
          'init repaired again without damage',
        );
      }));
  },
  ['iptables'],
);
