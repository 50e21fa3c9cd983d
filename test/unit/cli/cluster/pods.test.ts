/** What the API server says of pods, as rows and as one verdict. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { UsageError } from '../../../../agent/base/errors.ts';
import { listed } from '../../../../agent/cli/cluster/api.ts';
import { pluginFlags } from '../../../../agent/cli/cluster/kubectl-nodens.ts';
import { isComplete, podRow, rolloutOf, worstFirst } from '../../../../agent/cli/cluster/pods.ts';
import { statusAll } from '../../../../agent/cli/cluster/status-all.ts';
import { ApiError } from '../../../../agent/kubernetes/errors.ts';

interface Fields {
  readonly isReady?: boolean;
  readonly waiting?: string;
  readonly isLeaving?: boolean;
  readonly restarts?: number;
}

function pod(node: string, { isReady = true, waiting, isLeaving, restarts = 0 }: Fields = {}) {
  const state = waiting === undefined ? {} : { waiting: { reason: waiting } };
  return {
    metadata: {
      name: `nodens-${node}`,
      creationTimestamp: '2026-01-01T00:00:00Z',
      ...(isLeaving === true && { deletionTimestamp: '2026-01-01T00:00:00Z' }),
    },
    spec: { nodeName: node, containers: [{ image: 'registry.example/nodens:0.2.0' }] },
    status: {
      phase: 'Running',
      conditions: [{ type: 'Ready', status: isReady ? 'True' : 'False', message: 'agent' }],
      containerStatuses: [
        {
          ...{ name: 'agent', restartCount: restarts, state },
          lastState: { terminated: { reason: 'OOMKilled', finishedAt: '2026-01-01T00:00:00Z' } },
        },
      ],
      initContainerStatuses: [{ name: 'init', restartCount: 1 }],
    },
  };
}

const daemonSet = (wanted: number, updated = wanted, observedGeneration = 2) => ({
  metadata: Object.fromEntries([
    ['name', 'nodens'],
    ['generation', 2],
  ]),
  status: { desiredNumberScheduled: wanted, updatedNumberScheduled: updated, observedGeneration },
});
const complete = (pods: readonly object[], ...sets: readonly object[]): boolean =>
  isComplete(pods.map(podRow), sets.map(rolloutOf));

describe('a pod as a row', () => {
  it('has what is wrong in the words of Kubernetes', () => {
    assert.equal(podRow(pod('a')).state, 'ready');
    assert.equal(podRow(pod('a', { isReady: false })).state, 'not ready: agent');
    const waiting = { isReady: false, waiting: 'CrashLoopBackOff' };
    assert.equal(podRow(pod('a', waiting)).state, 'agent: CrashLoopBackOff');
    assert.equal(podRow(pod('a', { isLeaving: true })).state, 'ends');
    assert.equal(podRow(pod('a', { restarts: 2 })).restarts, 3);
    assert.equal(podRow(pod('a')).lastEnd?.reason, 'OOMKilled');
  });

  it('is made of any object', () => {
    assert.equal(podRow({}).state, 'Unknown');
  });

  it('comes first where its node has no ready pod', () => {
    const rows = [
      pod('calm'),
      pod('restarted', { restarts: 9 }),
      pod('updating'),
      pod('updating', { isReady: false }),
      pod('broken', { isReady: false }),
    ].map(podRow);
    assert.deepEqual(
      worstFirst(rows).map(({ node, isReady }) => `${node} ${isReady}`),
      ['broken false', 'updating false', 'restarted true', 'calm true', 'updating true'],
    );
  });
});

describe('a cluster', () => {
  it('is complete when every node is served and every DaemonSet has rolled out', () => {
    assert.equal(complete([pod('a'), pod('b')], daemonSet(2)), true);
    assert.equal(complete([pod('a'), pod('b')]), true, 'DaemonSets are not visible');
    assert.equal(complete([]), false);
    assert.equal(complete([pod('a'), pod('b', { isReady: false })], daemonSet(2)), false);
    assert.equal(complete([pod('a')], daemonSet(2)), false, 'a node has no pod');
    assert.equal(complete([pod('a'), pod('b')], daemonSet(2, 1)), false, 'an old pod');
    assert.equal(complete([pod('a')], daemonSet(1, 1, 1)), false, 'not observed yet');
    assert.equal(complete([pod('a'), pod('a', { isLeaving: true })], daemonSet(1)), true);
    assert.equal(complete([pod('a'), pod('b', { isLeaving: true })], daemonSet(1)), true);
  });

  it('is read page by page', async () => {
    const asked: string[] = [];
    const all = await listed(
      (path) => {
        asked.push(path);
        const isLast = path.includes('continue=');
        return Promise.resolve({ items: [{}], metadata: isLast ? {} : { continue: 'x y' } });
      },
      '/pods',
      'k8s-app=nodens',
    );
    assert.equal(all.length, 2);
    assert.deepEqual(asked, [
      '/pods?labelSelector=k8s-app%3Dnodens&limit=250',
      '/pods?labelSelector=k8s-app%3Dnodens&limit=250&continue=x+y',
    ]);
  });

  it('is judged without DaemonSets by a user who may not see them', async () => {
    const options = { namespace: 'n', selector: 's', waitMs: 0, isJson: true };
    const code = await statusAll(
      (path) =>
        path.startsWith('/apis')
          ? Promise.reject(new ApiError('forbidden', 403))
          : Promise.resolve({ items: [pod('a')] }),
      options,
    );
    assert.equal(code, 0);
  });
});

describe('flags of the plugin', () => {
  it('are its own in front of the command and behind it', () => {
    const { rest, node, container, kubectl, namespace } = pluginFlags(
      'query web.test -trace -node worker-1 --context=lab -n dns'.split(' '),
    );
    assert.deepEqual(rest, ['query', 'web.test', '-trace']);
    assert.deepEqual([node, container, namespace], ['worker-1', 'agent', 'dns']);
    assert.deepEqual(kubectl, ['--context=lab']);
    assert.equal(pluginFlags(['--node', 'a', 'doctor']).container, 'init');
    assert.throws(() => pluginFlags(['status', '-node']), UsageError);
  });
});
