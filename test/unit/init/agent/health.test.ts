import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AgentWatch } from '../../../../init/agent/health.ts';
import type { Round } from '../../../../init/agent/probe.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

const REFUSED: Round = { silent: ['udp a', 'tcp a'], isRefused: true, names: new Set() };
const HUNG: Round = { silent: ['udp a'], isRefused: false, names: new Set() };
const answered = (name: string): Round => ({ silent: [], isRefused: true, names: new Set([name]) });

function setup() {
  const clock = new FakeClock();
  const node = { round: REFUSED, probes: 0, verdicts: [] as boolean[], wedges: 0 };
  const watch = new AgentWatch({
    clock,
    probe: async () => {
      node.probes++;
      return node.round;
    },
    onVerdict: async (answers) => void node.verdicts.push(answers),
    onWedge: () => void node.wedges++,
  });
  watch.start();
  return { clock, node, watch };
}

/** An agent that said it is ready, was believed, and hangs. */
async function wedged() {
  const all = setup();
  const agent = {};
  all.node.round = answered('me');
  all.watch.ready(agent, 'me');
  await all.clock.advance(0);
  all.node.round = HUNG;
  await all.clock.advance(750);
  return { ...all, agent };
}

describe('watch over the agent', () => {
  it('without a word from an agent, an answered round means yes', async () => {
    const { clock, node } = setup();
    await clock.advance(5_000);
    assert.deepEqual(node.verdicts, []);
    node.round = answered('anybody');
    await clock.advance(1_000);
    assert.deepEqual(node.verdicts, [true]);
  });

  it('three failed rounds in a row mean no, two do not', async () => {
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

  it('ready counts once a round brings its nonce, not that of another', async () => {
    const { clock, node, watch } = setup();
    node.round = answered('another');
    watch.ready({}, 'mine');
    await clock.advance(3_000);
    assert.deepEqual(node.verdicts, []);
    node.round = answered('mine');
    await clock.advance(250);
    assert.deepEqual(node.verdicts, [true]);
    node.round = answered('another');
    await clock.advance(60_000);
    assert.deepEqual(node.verdicts, [true], 'another nodens serves');
  });

  it('an agent that hangs is withdrawn within a second of rounds and counted as a flap', async () => {
    const { node, watch } = await wedged();
    assert.deepEqual(node.verdicts, [true, false]);
    assert.deepEqual([watch.flaps, watch.probeFailures, node.wedges], [1, 3, 1]);
    assert.equal(watch.answers, false);
  });

  it('comes back after a minute and eight good rounds, not before', async () => {
    const { clock, node } = await wedged();
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

  it('a new agent after one that hung waits for the minute, too', async () => {
    const { clock, node, watch, agent } = await wedged();
    await watch.leave(agent);
    node.round = answered('new');
    watch.ready({}, 'new');
    await clock.advance(50_000);
    assert.deepEqual(node.verdicts, [true, false]);
    await clock.advance(12_000);
    assert.deepEqual(node.verdicts, [true, false, true]);
  });

  it('an agent that nobody listens for is gone, not hung: no flap, no waiting', async () => {
    const { clock, node, watch } = setup();
    node.round = answered('x');
    await clock.advance(1_000);
    node.round = REFUSED;
    await clock.advance(1_000);
    node.round = answered('x');
    await clock.advance(1_000);
    assert.deepEqual(node.verdicts, [true, false, true]);
    assert.deepEqual([watch.flaps, node.wedges], [0, 0]);
  });

  it('an agent that withdrew but still answers is not brought back', async () => {
    const { clock, node, watch } = setup();
    const agent = {};
    node.round = answered('me');
    watch.ready(agent, 'me');
    await clock.advance(0);
    await watch.leave(agent);
    const { probes } = node;
    await clock.advance(60_000);
    assert.deepEqual(node.verdicts, [true, false]);
    assert.equal(node.probes, probes);
    watch.ready(agent, 'me');
    await clock.advance(0);
    assert.deepEqual(node.verdicts, [true, false, true]);
  });

  it('the last ready agent decides', async () => {
    const { clock, node, watch } = setup();
    const [first, second] = [{}, {}];
    node.round = answered('2');
    watch.ready(first, '1');
    watch.ready(second, '2');
    await clock.advance(0);
    assert.equal(watch.isReady(first), true);
    await watch.leave(first);
    await watch.leave(first);
    assert.deepEqual([watch.isReady(first), watch.isReady(second)], [false, true]);
    assert.deepEqual(node.verdicts, [true]);
    await watch.leave(second);
    assert.deepEqual(node.verdicts, [true, false]);
  });

  it('an answer that comes after the agent left changes nothing', async () => {
    const clock = new FakeClock();
    const verdicts: boolean[] = [];
    const { promise, resolve } = Promise.withResolvers<Round>();
    const watch = new AgentWatch({
      clock,
      probe: () => promise,
      onVerdict: async (answers) => void verdicts.push(answers),
      onWedge: () => undefined,
    });
    const agent = {};
    watch.ready(agent, 'x');
    await clock.advance(0);
    await watch.leave(agent);
    resolve(answered('x'));
    await clock.advance(10_000);
    assert.deepEqual(verdicts, []);
  });

  it('stopped, it leaves no timer', async () => {
    const { clock, watch } = setup();
    await clock.advance(1_500);
    watch.stop();
    assert.equal(clock.pendingTimers, 0);
  });
});
