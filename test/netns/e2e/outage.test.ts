/** Upstreams that refuse and upstreams that hang: warm names are served, cold ones fail in time, and recovery is noticed. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { type DigResult, dataOf, dig } from '../../support/cluster/clients/dig.ts';
import type { Cluster } from '../../support/cluster/cluster.ts';
import { V4 } from '../../support/cluster/plan.ts';
import { until } from '../../support/cluster/process/wait.ts';
import { startNodens } from '../../support/cluster/site.ts';
import { CLUSTER_TTL_SECONDS } from '../../support/cluster/zones.ts';
import { describeSites, withSite } from '../../support/netns/sites.ts';

const WARM = 'web.default.svc.cluster.local';
const NEW_ADDRESS = '10.96.7.99';
/** RFC 8767 §4: the TTL of a stale answer. */
const STALE_TTL_SECONDS = 30;
const PATIENCE_MS = 5_000;

/** Asks for the warm name until its fresh answer has expired. */
function staleAnswer(cluster: Cluster): Promise<DigResult> {
  return until(
    'a stale answer',
    async () => {
      const answer = await dig(cluster.pods[0], { server: V4.vip, name: WARM });
      assert.deepEqual([answer.status, ...dataOf(answer)], ['NOERROR', '10.96.7.7']);
      return (answer.answers[0]?.ttl ?? 0) > CLUSTER_TTL_SECONDS && answer;
    },
    (CLUSTER_TTL_SECONDS + 10) * 1_000,
  );
}

async function lastsAndRecovers(
  cluster: Cluster,
  fail: () => Promise<void> | void,
  recover: () => Promise<void> | void,
  expected: string,
): Promise<void> {
  const pod = cluster.pods[0];
  assert.equal((await dig(pod, { server: V4.local, name: WARM })).status, 'NOERROR');
  await fail();
  const stale = await staleAnswer(cluster);
  assert.equal(stale.answers[0]?.ttl, STALE_TTL_SECONDS);
  const cold = { server: V4.vip, name: 'cold.any.default.svc.cluster.local', timeoutSeconds: 10 };
  const failed = await dig(pod, cold);
  assert.equal(failed.status, 'SERVFAIL');
  assert.notDeepEqual(failed.extendedErrors, []);
  assert.ok(failed.elapsedMs < PATIENCE_MS, `${failed.elapsedMs} ms`);

  await recover();
  await until(
    'a fresh answer',
    async () => {
      const { answers } = await dig(pod, { server: V4.vip, name: WARM });
      const [record] = answers;
      return record?.data === expected && record.ttl <= CLUSTER_TTL_SECONDS;
    },
    15_000,
  );
  const again = await dig(pod, { ...cold, name: 'fresh.any.default.svc.cluster.local' });
  assert.equal(again.status, 'NOERROR');
}

describeSites(
  'an outage of every upstream',
  (proxy) => {
    it('with refused connections', () =>
      withSite(proxy, async (site) => {
        const { cluster } = site;
        await startNodens(site);
        const restart = (): Promise<void> => cluster.startUpstreams({ web: NEW_ADDRESS });
        await lastsAndRecovers(cluster, () => cluster.stopUpstreams(), restart, NEW_ADDRESS);
      }));

    it('with silent upstreams', () =>
      withSite(proxy, async (site) => {
        const { cluster } = site;
        await startNodens(site);
        const freeze = (): void => {
          for (const upstream of cluster.upstreams) upstream.freeze();
        };
        const thaw = (): void => {
          for (const upstream of cluster.upstreams) upstream.thaw();
        };
        await lastsAndRecovers(cluster, freeze, thaw, '10.96.7.7');
      }));
  },
  ['nft'],
);
