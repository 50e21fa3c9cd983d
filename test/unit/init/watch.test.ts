import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AgentWatch } from '../../../init/watch.ts';
import { FakeClock } from '../../support/fake-clock.ts';

function setup() {
  const clock = new FakeClock();
  const node = { answers: false, probes: 0, verdicts: [] as boolean[] };
  const watch = new AgentWatch({
    clock,
    probe: async () => {
      node.probes++;
      return node.answers;
    },
    onVerdict: async (answers) => void node.verdicts.push(answers),
  });
  watch.start();
  return { clock, node, watch };
}

describe('watch over the agent', () => {
  it('without a word from an agent, an answered probe means yes', async () => {
    const { clock, node } = setup();
    await clock.advance(5_000);
    assert.deepEqual(node.verdicts, []);
    node.answers = true;
    await clock.advance(1_000);
    assert.deepEqual(node.verdicts, [true]);
  });

  it('three silent probes in a row mean no, two do not', async () => {
    const { clock, node } = setup();
    node.answers = true;
    await clock.advance(1_000);
    node.answers = false;
    await clock.advance(2_000);
    node.answers = true;
    await clock.advance(1_000);
    node.answers = false;
    await clock.advance(2_000);
    assert.deepEqual(node.verdicts, [true]);
    await clock.advance(1_000);
    assert.deepEqual(node.verdicts, [true, false]);
  });

  it('ready counts once a probe is answered', async () => {
    const { clock, node, watch } = setup();
    watch.ready({});
    await clock.advance(3_000);
    assert.deepEqual(node.verdicts, []);
    node.answers = true;
    await clock.advance(1_000);
    assert.deepEqual(node.verdicts, [true]);
  });

  it('an agent that withdrew but still answers is not brought back', async () => {
    const { clock, node, watch } = setup();
    const agent = {};
    node.answers = true;
    watch.ready(agent);
    await clock.advance(0);
    await watch.leave(agent);
    const { probes } = node;
    await clock.advance(60_000);
    assert.deepEqual(node.verdicts, [true, false]);
    assert.equal(node.probes, probes);
    watch.ready(agent);
    await clock.advance(0);
    assert.deepEqual(node.verdicts, [true, false, true]);
  });

  it('the last ready agent decides', async () => {
    const { clock, node, watch } = setup();
    const [first, second] = [{}, {}];
    node.answers = true;
    watch.ready(first);
    watch.ready(second);
    await clock.advance(0);
    await watch.leave(first);
    await watch.leave(first);
    assert.deepEqual(node.verdicts, [true]);
    await watch.leave(second);
    assert.deepEqual(node.verdicts, [true, false]);
  });

  it('an answer that comes after the agent left changes nothing', async () => {
    const clock = new FakeClock();
    const verdicts: boolean[] = [];
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const watch = new AgentWatch({
      clock,
      probe: () => promise,
      onVerdict: async (answers) => void verdicts.push(answers),
    });
    const agent = {};
    watch.ready(agent);
    await watch.leave(agent);
    resolve(true);
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
