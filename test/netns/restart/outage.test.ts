/** A new pod during an outage: it answers from the cache of the pod before it. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { it } from 'node:test';
import { dataOf, dig } from '../../support/cluster/clients/dig.ts';
import { metrics, total } from '../../support/cluster/observe.ts';
import { V4 } from '../../support/cluster/plan.ts';
import { METRICS_URL } from '../../support/cluster/process/nodens.ts';
import { AGENT_ID } from '../../support/cluster/process/programs.ts';
import { Rollout } from '../../support/netns/rollout.ts';
import { describeSites, withSite } from '../../support/netns/sites.ts';

const WARM = ['web.default.svc.cluster.local', 'www.example.com'];
const SNAPSHOT = 'cache.snapshot';

describeSites(
  'a restart during an outage',
  (proxy) => {
    it("a new pod answers from the old pod's cache, on every address", () =>
      withSite(proxy, async (site) => {
        const { cluster } = site;
        const rollout = new Rollout(site);
        const first = await rollout.start();
        const { uid, gid, mode } = statSync(rollout.stateDir);
        assert.deepEqual([uid, `${gid}`, mode & 0o777], [0, AGENT_ID, 0o770]);
        const answers = new Map<string, readonly string[]>();
        for (const name of WARM) {
          const answer = await dig(cluster.pods[0], { server: V4.vip, name });
          assert.equal(answer.status, 'NOERROR', name);
          answers.set(name, dataOf(answer));
        }
        assert.deepEqual(await rollout.end(first), [0, 0]);
        assert.deepEqual(readdirSync(rollout.stateDir), [SNAPSHOT]);
        const file = statSync(`${rollout.stateDir}/${SNAPSHOT}`);
        assert.deepEqual([`${file.uid}`, file.mode & 0o777], [AGENT_ID, 0o600]);

        await cluster.stopUpstreams();
        const second = await rollout.start();
        for (const server of [V4.vip, V4.local]) {
          for (const from of [...cluster.pods, cluster.node]) {
            for (const [name, data] of answers) {
              const answer = await dig(from, { server, name });
              assert.deepEqual([answer.status, dataOf(answer)], ['NOERROR', data], name);
            }
          }
        }
        const samples = await metrics(cluster.node, METRICS_URL);
        assert.ok(total(samples, 'nodens_snapshot_restored_entries') >= WARM.length);
        assert.doesNotMatch(second.agent.log(), /snapshot: /);
      }));

    it('a damaged snapshot is counted and renamed, and the agent starts', () =>
      withSite(proxy, async (site) => {
        const { cluster } = site;
        const rollout = new Rollout(site);
        await rollout.end(await rollout.start());
        const path = `${rollout.stateDir}/${SNAPSHOT}`;
        writeFileSync(path, 'half of a');
        await rollout.start();
        assert.equal(readFileSync(`${path}.damaged`, 'utf8'), 'half of a');
        const samples = await metrics(cluster.node, METRICS_URL);
        assert.equal(total(samples, 'nodens_snapshot_errors_total', '"damaged"'), 1);
        const name = 'web.default.svc.cluster.local';
        assert.equal((await dig(cluster.pods[0], { server: V4.vip, name })).status, 'NOERROR');
      }));
  },
  ['nft'],
);
