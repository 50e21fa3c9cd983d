import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AgentHealth } from '../../../../init/agent/health.ts';
import type { Round } from '../../../../init/agent/probe.ts';
import { type Actions, Lifecycle } from '../../../../init/control/lifecycle.ts';
import { WANTING } from '../../../../init/control/machine.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

const REFUSED: Round = { silent: ['udp a', 'tcp a'], isRefused: true, names: new Set() };
const HUNG: Round = { silent: ['udp a'], isRefused: false, names: new Set() };
const answered = (name: string): Round => ({ silent: [], isRefused: true, names: new Set([name]) });

/** Health with the lifecycle of an init that installs rules at once. */
function setup(probe?: () => Promise<Round>) {
  const clock = new FakeClock();
  const node = { round: REFUSED, probes: 0, verdicts: [] as boolean[], hangs: 0, answered: 0 };
  const lifecycle = new Lifecycle();
  const health = new AgentHealth({
    clock,
    probe:
      probe ??
      (async () => {
        node.probes++;
        return node.round;
      }),
    isIntercepting: () => WANTING.has(lifecycle.state),
    send: (event) => {
      if (event === 'agent-answered') node.answered++;
      lifecycle.send(event);
    },
  });
  const none = (): void => undefined;
  const actions: Actions = {
    ...{ watch: none, reinstall: none, reconcile: none, 'report-killed': none, leave: none },
    ...{ 'await-recovery': none, 'restart-agent': none, 'stop-watching': none, exit: none },
    ...{ 'stop-agent': none, 'reset-connections': none },
    intercept: () => {
      node.verdicts.push(true);
      lifecycle.send('rules-installed');
    },
    withdraw: () => void node.verdicts.push(false),
    distrust: () => {
      node.hangs++;
      health.holdOff();
    },
  };
  lifecycle.start(actions, none);
  health.start();
  return { clock, node, health, lifecycle };
}

/** An agent that was ready and proven, and now hangs. */
async function hung() {
  const all = setup();
  const agent = {};
  all.node.round = answered('me');
  all.health.ready(agent, 'me');
  await all.clock.advance(0);
  all.node.round = HUNG;
  await all.clock.advance(750);
  return { ...all, agent };
}

describe('health of the agent', () => {
  it('one answered round proves an agent that has never connected', async () => {
    const { clock, node } = setup();
    await clock.advance(5_000);
    assert.deepEqual(node.verdicts, []);
    node.round = answered('other');
    await clock.advance(1_000);
    assert.deepEqual(node.verdicts, [true]);
  });

  it('the agent has failed after three failed rounds in a row, not after two', async () => {
    const { clock, node } = setup();
    node.round = answered('x');
    await clock.advance(1_000);
    node.round = HUNG;
    await clock.advance(500);
    node.round = answered('x');
    await clock.advance(250);
    node.round = HUNG;
    await clock.advance(500);
    assert.deepEqual(node.verdicts, [true]);
    await clock.advance(250);
    assert.deepEqual(node.verdicts, [true, false]);
  });

  it('a ready agent is proven by a round with its own nonce, not with another one', async () => {
    const { clock, node, health } = setup();
    node.round = answered('another');
    health.ready({}, 'mine');
    await clock.advance(3_000);
    assert.deepEqual(node.verdicts, []);
    node.round = answered('mine');
    await clock.advance(250);
    assert.deepEqual(node.verdicts, [true]);
    node.round = answered('another');
    await clock.advance(60_000);
    assert.deepEqual(
      node.verdicts,
      [true],
      'a round that another nodens answered ended interception',
    );
  });

  it('after three silent rounds the agent hangs, which counts as one flap', async () => {
    const { node, health } = await hung();
    assert.deepEqual(node.verdicts, [true, false]);
    assert.deepEqual([node.hangs, health.probeFailures], [1, 3]);
    assert.deepEqual(health.silent, ['udp a']);
  });

  it('an agent that hung is proven after a minute and eight good rounds, not before', async () => {
    const { clock, node } = await hung();
    node.round = answered('me');
    await clock.advance(59_000);
    assert.deepEqual(node.verdicts, [true, false]);
    node.round = HUNG;
    await clock.advance(2_000);
    node.round = answered('me');
    await clock.advance(1_750);
    assert.deepEqual(node.verdicts, [true, false]);
    await clock.advance(250);
    assert.deepEqual(node.verdicts, [true, false, true]);
  });

  it('a new agent after one that hung waits for a minute, too', async () => {
    const { clock, node, health, agent } = await hung();
    health.leave(agent);
    node.round = answered('new');
    health.ready({}, 'new');
    await clock.advance(50_000);
    assert.deepEqual(node.verdicts, [true, false]);
    await clock.advance(12_000);
    assert.deepEqual(node.verdicts, [true, false, true]);
  });

  it('an agent whose port refuses is gone and does not hang: no flap, no hold-off', async () => {
    const { clock, node } = setup();
    node.round = answered('x');
    await clock.advance(1_000);
    node.round = REFUSED;
    await clock.advance(1_000);
    node.round = answered('x');
    await clock.advance(1_000);
    assert.deepEqual(node.verdicts, [true, false, true]);
    assert.equal(node.hangs, 0);
  });

  it('answers do not prove an agent that has withdrawn; a new ready message does', async () => {
    const { clock, node, health } = setup();
    const agent = {};
    node.round = answered('me');
    health.ready(agent, 'me');
    await clock.advance(0);
    health.leave(agent);
    const { probes } = node;
    await clock.advance(60_000);
    assert.deepEqual(node.verdicts, [true, false]);
    assert.equal(node.probes, probes);
    health.ready(agent, 'me');
    await clock.advance(0);
    assert.deepEqual(node.verdicts, [true, false, true]);
  });

  it('with two ready agents, interception ends when both have left', async () => {
    const { clock, node, health } = setup();
    const [first, second] = [{}, {}];
    node.round = answered('2');
    health.ready(first, '1');
    health.ready(second, '2');
    await clock.advance(0);
    assert.equal(health.isReady(first), true);
    health.leave(first);
    health.leave(first);
    assert.deepEqual([health.isReady(first), health.isReady(second)], [false, true]);
    assert.deepEqual(node.verdicts, [true]);
    health.leave(second);
    assert.deepEqual(node.verdicts, [true, false]);
  });

  it('an answer that arrives after the agent has left changes nothing', async () => {
    const { promise, resolve } = Promise.withResolvers<Round>();
    const { clock, node, health } = setup(() => promise);
    const agent = {};
    health.ready(agent, 'x');
    await clock.advance(0);
    health.leave(agent);
    resolve(answered('x'));
    await clock.advance(10_000);
    assert.deepEqual(node.verdicts, []);
  });

  it('an agent that answers during the hold-off has answered and is not proven', async () => {
    const { clock, node, lifecycle } = await hung();
    assert.equal(lifecycle.state, 'hanging');
    node.round = answered('me');
    await clock.advance(250);
    assert.equal(lifecycle.state, 'recovering');
    assert.equal(node.answered, 1);
  });

  it('no timer remains after stop()', async () => {
    const { clock, health } = setup();
    await clock.advance(1_500);
    health.stop();
    assert.equal(clock.pendingTimers, 0);
  });
});
