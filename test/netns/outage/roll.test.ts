/** kube-dns pods replaced one after the other under load: clients do not notice, and the load stays balanced. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Cluster } from '../../support/cluster/cluster.ts';
import type { Asked, Nameserver } from '../../support/cluster/nameserver.ts';
import type { Netns } from '../../support/cluster/netns.ts';
import { V4 } from '../../support/cluster/plan.ts';
import { startNodens } from '../../support/cluster/site.ts';
import { allowedMs, slowness } from '../../support/machine.ts';
import { deafen, undeafen } from '../../support/netns/drop.ts';
import { pause } from '../../support/netns/faults.ts';
import { type Load, load, percentile } from '../../support/netns/load.ts';
import { describeSites, withSite } from '../../support/netns/sites.ts';

/** A rate that two busy cores carry with name servers and client; `npm run chaos` sets a higher one. */
const PER_SECOND = Number(process.env.NODENS_ROLL_RATE ?? Math.floor(2_000 / (await slowness())));
const SECONDS = 14;
const GONE_MS = 1_500;
const BETWEEN_MS = 2_500;
const maxP99Ms = await allowedMs(300);
const MAX_SKEW = 0.2;
/** kube-proxy chooses at random for each connection: sometimes more of them are needed until the loads are even. */
const EVENING_LOADS = 3;

/** Uncached names: each is one query to kube-dns. */
const coldNames = (prefix: string): string[] =>
  Array.from(
    { length: PER_SECOND * SECONDS },
    (_, i) => `${prefix}${i}.any.default.svc.cluster.local`,
  );

/** Pods ask for names that are not cached. */
function ask({ runDir: dir, pods }: Cluster, prefix: string): Promise<Load> {
  const shape = { perSecond: PER_SECOND, seconds: SECONDS, dir };
  return load(pods[0], { server: V4.vip, names: coldNames(prefix), ...shape });
}

/** Stops each backend for a while, one after the other, while pods ask. */
async function roll(
  cluster: Cluster,
  prefix: string,
  gone: (backend: Nameserver, index: 0 | 1) => Promise<void>,
  back: (index: 0 | 1) => Promise<void>,
): Promise<Load> {
  const { kubeDns } = cluster;
  const running = ask(cluster, prefix);
  const rolling = async (): Promise<void> => {
    for (const index of [0, 1] as const) {
      await pause(BETWEEN_MS);
      await gone(kubeDns[index], index);
      await pause(GONE_MS);
      await back(index);
    }
  };
  const [result] = await Promise.all([running, rolling()]);
  return result;
}

function assertUnnoticed(result: Load, how: string): void {
  const p99 = percentile(result, 0.99);
  const summary = `${how}: ${result.sent} queries, ${JSON.stringify(result.outcomes)}, p50 ${percentile(result, 0.5).toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, worst ${percentile(result, 1).toFixed(1)} ms`;
  process.stdout.write(`# ${summary}\n`);
  assert.deepEqual(Object.keys(result.outcomes), ['NOERROR'], summary);
  assert.ok(result.sent > PER_SECOND * SECONDS * 0.5, summary);
  assert.ok(p99 <= maxP99Ms, summary);
}

/** The difference between the backends' loads, as a share of their mean. */
function skew(cluster: Cluster): number {
  const isOurs = ({ name }: Asked): boolean => name.includes('.any.');
  const counts = cluster.kubeDns.map((backend) => backend.asked().filter(isOurs).length);
  process.stdout.write(`# backends got ${counts.join(' and ')}\n`);
  const [one = 0, other = 0] = counts;
  return Math.abs(one - other) / ((one + other) / 2);
}

describeSites(
  'kube-dns rolled under load',
  (proxy) => {
    it('clients get no error and no long wait, and loads are even: half-open and RST', () =>
      withSite(proxy, async (site) => {
        const { cluster } = site;
        // In order: node, two pods, two backends, internet.
        const [first, second] = cluster.namespaces.slice(3);
        const spaces = [first, second] as [Netns, Netns];
        await startNodens(site);
        const silent = await roll(
          cluster,
          'silent',
          (_, index) => deafen(spaces[index]),
          (index) => undeafen(spaces[index]),
        );
        assertUnnoticed(silent, 'half-open');
        const reset = await roll(
          cluster,
          'reset',
          (backend) => backend.stop(),
          () => cluster.startUpstreams(),
        );
        assertUnnoticed(reset, 'RST');
        let apart = skew(cluster);
        for (let more = 0; more < EVENING_LOADS && apart > MAX_SKEW; more++) {
          assertUnnoticed(await ask(cluster, `even${more}x`), 'all there');
          apart = skew(cluster);
        }
        assert.ok(apart <= MAX_SKEW, `${apart.toFixed(2)} of the mean apart`);
      }));
  },
  ['nft'],
);
