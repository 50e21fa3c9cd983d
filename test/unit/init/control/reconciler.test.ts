import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Reconciler } from '../../../../init/control/reconciler.ts';
import { LinkError } from '../../../../init/node/link.ts';
import { planOf, type RuleSet } from '../../../../init/plan/plan.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { failure, fakeLog, INTERCEPTING, PLAN_BASICS } from '../fake-system.ts';

const plan = planOf({
  localIps: ['169.254.20.10'],
  ...PLAN_BASICS,
});

interface Node {
  /** What happened, in order: `link`, or the number of query rules applied. */
  readonly steps: (string | number)[];
  changed: boolean;
  linkError: Error | undefined;
  ruleError: Error | undefined;
  changes: number;
}

function setup(syncIntervalMs = 60_000, released?: Promise<void>) {
  const clock = new FakeClock();
  const node: Node = {
    steps: [],
    changed: false,
    linkError: undefined,
    ruleError: undefined,
    changes: 0,
  };
  const { log, lines } = fakeLog();
  const reconciler = new Reconciler({
    link: {
      ensure: async () => {
        node.steps.push('link');
        if (node.linkError !== undefined) throw node.linkError;
        return false;
      },
    },
    firewall: {
      isOwner: released !== undefined,
      release: async () => {
        node.steps.push('release');
        await released;
      },
      apply: async ({ query }: RuleSet) => {
        node.steps.push(query.length);
        if (node.ruleError !== undefined) throw node.ruleError;
        return node.changed;
      },
    },
    plan,
    look: async () => INTERCEPTING,
    clock,
    log,
    syncIntervalMs,
    onChange: () => void node.changes++,
  });
  return { clock, node, lines, reconciler };
}

describe('reconciler', () => {
  it('the first pass sets up addresses, then standing rules, and no query rules', async () => {
    const { node, reconciler } = setup();
    assert.equal(await reconciler.pass(), true);
    assert.deepEqual(node.steps, ['link', 0]);
    assert.equal(reconciler.interception, 'none');
  });

  it('a slow release does not end interception that was requested later', async () => {
    const gone = Promise.withResolvers<void>();
    const { reconciler } = setup(60_000, gone.promise);
    await reconciler.want('full');
    const released = reconciler.release();
    await reconciler.want('full');
    gone.resolve();
    await released;
    assert.equal(reconciler.interception, 'full');
    await reconciler.release();
    assert.equal(reconciler.interception, 'none');
  });

  it('a pass that began before a release does not install query rules again', async () => {
    const { node, lines, reconciler } = setup(60_000, Promise.resolve());
    node.changed = true;
    await reconciler.want('full');
    node.steps.length = 0;
    const pass = reconciler.pass();
    await Promise.resolve();
    const released = reconciler.release();
    await Promise.all([pass, released]);
    assert.deepEqual(node.steps, ['link', 'release', 0]);
    assert.equal(reconciler.interception, 'none');
    assert.doesNotMatch(JSON.stringify(lines), /put back/);
  });

  it('reports query rules as gone if they cannot be installed again', async () => {
    const gone = Promise.withResolvers<void>();
    const { node, reconciler } = setup(60_000, gone.promise);
    await reconciler.want('full');
    const released = reconciler.release();
    node.ruleError = failure('nft -i', 'no answer');
    await reconciler.want('full');
    gone.resolve();
    await released;
    assert.equal(reconciler.interception, 'none');
    node.ruleError = undefined;
    await reconciler.want('full');
    node.ruleError = failure('nft -i', 'no answer');
    await reconciler.lost();
    assert.equal(reconciler.interception, 'none');
    assert.equal(node.changes, 5);
  });

  it('query rules that are lost and restored at once are not reported as a change', async () => {
    const { node, reconciler } = setup();
    await reconciler.want('full');
    await reconciler.lost();
    assert.equal(reconciler.interception, 'full');
    assert.equal(node.changes, 1);
  });

  it('checks addresses and rules at every interval', async () => {
    const { clock, node, reconciler } = setup();
    await reconciler.want('full');
    await clock.advance(180_000);
    assert.deepEqual(node.steps, ['link', 4, 'link', 4, 'link', 4, 'link', 4]);
    assert.equal(clock.pendingTimers, 1);
  });

  it('retries after five seconds, and counts failures by kind', async () => {
    const { clock, node, reconciler } = setup();
    node.linkError = new LinkError('interface_add', failure('ip addr add', 'no'));
    node.ruleError = failure(
      'iptables-legacy-restore',
      'Another app is currently holding the xtables lock',
      4,
    );
    assert.equal(await reconciler.pass(), false);
    node.ruleError = failure('nft', 'no');
    await clock.advance(5_000);
    assert.deepEqual(reconciler.errors, {
      iptables: 1,
      iptables_lock: 1,
      interface_add: 2,
      interface_check: 0,
      configmap: 0,
    });
    assert.equal(reconciler.interception, undefined);
    node.linkError = undefined;
    node.ruleError = undefined;
    await clock.advance(5_000);
    assert.equal(reconciler.interception, 'none');
    const steps = node.steps.length;
    await clock.advance(59_000);
    assert.equal(node.steps.length, steps);
  });

  it('installs and withdraws rules although the link fails', async () => {
    const { node, reconciler } = setup();
    await reconciler.want('full');
    node.linkError = new LinkError('interface_check', failure('ip', 'no'));
    assert.equal(await reconciler.want('none'), false);
    assert.equal(reconciler.interception, 'none');
  });

  it('passes never overlap, and the last request wins', async () => {
    const { node, reconciler } = setup();
    const first = reconciler.want('full');
    const second = reconciler.want('none');
    await Promise.all([first, second]);
    assert.deepEqual(node.steps, ['link', 0, 'link', 0]);
    assert.equal(reconciler.interception, 'none');
  });

  it('logs what it restores after another program, but not its own changes', async () => {
    const { clock, node, lines, reconciler } = setup();
    node.changed = true;
    await reconciler.pass();
    await reconciler.want('full');
    assert.deepEqual(lines, []);
    await clock.advance(60_000);
    assert.deepEqual(lines, ['warn restored what another program had removed']);
  });

  it('does not log a success at the second attempt as a removal by another program', async () => {
    const { clock, node, lines, reconciler } = setup();
    node.linkError = new LinkError('interface_add', failure('ip addr add', 'no'));
    await reconciler.pass();
    node.linkError = undefined;
    node.changed = true;
    await clock.advance(5_000);
    assert.deepEqual(lines, ['error set-up failed']);
  });

  it('calls onChange only after a change', async () => {
    const { clock, node, reconciler } = setup();
    await reconciler.pass();
    await clock.advance(120_000);
    assert.equal(node.changes, 1);
    await reconciler.want('full');
    assert.equal(node.changes, 2);
  });

  it('executes one request after stop(), and starts no timer', async () => {
    const { clock, node, reconciler } = setup();
    await reconciler.want('full');
    reconciler.stop();
    await reconciler.want('none');
    await clock.advance(600_000);
    assert.equal(node.steps.at(-1), 0);
    assert.equal(clock.pendingTimers, 0);
  });
});
