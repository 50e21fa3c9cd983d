import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { failure } from '../fake-system.ts';
import { answered, HUNG, intercepting, REFUSED, startFakeInit } from './fake-init.ts';

/** Whether the promise has resolved; the clock does not move. */
async function isDone(promise: Promise<unknown>): Promise<boolean> {
  const later = new Promise<boolean>((resolve) => {
    setImmediate(resolve, false);
  });
  return Promise.race([promise.then(() => true), later]);
}

describe('service of init', () => {
  it('has only standing rules and reports "waiting" until the agent answers', async () => {
    const init = await startFakeInit();
    init.connect();
    assert.equal(init.state(), 'waiting');
    assert.deepEqual(init.node.steps, ['rules 0']);
    await init.clock.advance(30_000);
    assert.equal(init.state(), 'waiting');
    assert.ok(init.lines.includes('info set up'));
  });

  it('intercepts for a ready agent after one good round', async () => {
    const init = await startFakeInit();
    const agent = init.connect();
    await init.clock.advance(2_000);
    init.node.round = answered('me');
    await agent.ready('me');
    assert.deepEqual(init.node.steps, ['rules 0', 'rules 4']);
    assert.equal(init.state(), 'intercepting');
  });

  it('does not intercept for a ready agent if probes return another nonce', async () => {
    const init = await startFakeInit();
    init.node.round = answered('another');
    await init.connect().ready('me');
    await init.clock.advance(5_000);
    assert.equal(init.state(), 'waiting');
  });

  it('intercepts for an agent that answers but has never connected', async () => {
    const init = await startFakeInit();
    init.node.round = answered('silent');
    await init.clock.advance(1_000);
    assert.equal(init.node.steps.at(-1), 'rules 4');
  });

  it('acknowledges a withdraw when the query rules are gone', async () => {
    const { agent, node, state, lines } = await intercepting();
    await agent.withdraw();
    assert.deepEqual(node.steps.slice(0, 1), ['release']);
    assert.equal(state(), 'withdrawn');
    await agent.end();
    assert.ok(!lines.some((line) => line.includes('killed')));
  });

  it('acknowledges a withdraw after the pass if the rules are not in an owned table', async () => {
    const { agent, node } = await intercepting({ isOwner: false });
    const lock = Promise.withResolvers<void>();
    node.lock = lock.promise;
    const left = agent.withdraw();
    assert.equal(await isDone(left), false);
    lock.resolve();
    await left;
    assert.deepEqual(node.steps, ['release', 'rules 0']);
  });

  it('acknowledges a withdraw during a withdrawal when that withdrawal is done', async () => {
    const { agent, clock, node } = await intercepting({ isOwner: false });
    const lock = Promise.withResolvers<void>();
    node.lock = lock.promise;
    node.round = REFUSED;
    await clock.advance(1_000);
    const left = agent.withdraw();
    assert.equal(await isDone(left), false);
    lock.resolve();
    await left;
  });

  it('keeps interception when one of two agents leaves, and acknowledges at once', async () => {
    const { agent, connect, node, state } = await intercepting();
    const second = connect();
    node.round = answered('me', 'second');
    await second.ready('second');
    await agent.withdraw();
    assert.equal(state(), 'intercepting');
    assert.deepEqual(node.steps, []);
    await second.end();
    assert.equal(state(), 'withdrawn');
  });

  it("withdraws when the agent's connection ends, and intercepts at its next ready", async () => {
    const { agent, connect, state, lines } = await intercepting();
    await agent.end();
    assert.ok(lines.includes('warn agent killed: its connection ended without a withdrawal'));
    assert.equal(state(), 'withdrawn');
    await connect().ready('me');
    assert.equal(state(), 'intercepting');
  });

  it('withdraws when an agent hangs for three rounds, and resets its connections', async () => {
    const { clock, node, state, status, lines, calls } = await intercepting();
    node.round = HUNG;
    await clock.advance(500);
    assert.equal(state(), 'intercepting');
    await clock.advance(250);
    assert.equal(state(), 'withdrawn');
    assert.deepEqual(node.steps, ['release', 'forget', 'rules 0']);
    assert.ok(calls.some(({ command }) => command.startsWith('ss ')));
    assert.ok(lines.includes('warn agent does not answer probes: interception withdrawn'));
    await clock.advance(5_000);
    const last = status();
    assert.deepEqual([last?.flaps, last?.probeFailures], [1, 19]);
  });

  it('tells what connects after a hang how long the agent is not trusted, and nothing before', async () => {
    const { clock, node, connect, status } = await intercepting();
    connect();
    assert.equal(status()?.hang, undefined);
    node.round = HUNG;
    await clock.advance(750);
    await clock.advance(20_000);
    connect();
    assert.deepEqual(status()?.hang, { untilTrustedMs: 40_000 });
    await clock.advance(60_000);
    connect();
    assert.deepEqual(status()?.hang, { untilTrustedMs: 0 });
  });

  it('after a hang it intercepts again after a minute and eight good rounds', async () => {
    const { clock, node, state } = await intercepting();
    node.round = HUNG;
    await clock.advance(750);
    node.round = answered('me');
    await clock.advance(59_000);
    assert.equal(state(), 'withdrawn');
    await clock.advance(1_500);
    assert.equal(state(), 'intercepting');
  });

  it('withdraws without a flap if the port refuses; intercepts at the next answer', async () => {
    const { clock, node, state, status } = await intercepting();
    node.round = REFUSED;
    await clock.advance(750);
    assert.equal(state(), 'withdrawn');
    assert.ok(!node.steps.includes('forget'));
    node.round = answered('me');
    await clock.advance(250);
    assert.equal(state(), 'intercepting');
    const last = status();
    assert.equal(last?.flaps, 0);
  });

  it('restores what other programs changed, in every state, and keeps the state', async () => {
    const { agent, node, disturb, state, lines } = await intercepting();
    await disturb();
    assert.deepEqual(node.steps, ['rules 4']);
    assert.equal(state(), 'intercepting');
    await agent.end();
    await disturb();
    assert.equal(node.steps.at(-1), 'rules 0');
    assert.equal(state(), 'withdrawn');
    const restored = lines.filter((line) => line.includes('restored'));
    assert.equal(restored.length, 2);
  });

  it('installs the query rules again when the nft owner process ends', async () => {
    const { node, loseOwner, state, lines } = await intercepting();
    await loseOwner();
    assert.deepEqual(node.steps, ['rules 4']);
    assert.equal(state(), 'intercepting');
    assert.ok(!lines.some((line) => line.includes('restored')));
  });

  it('reports "withdrawn" while lost query rules cannot be installed again', async () => {
    const { clock, node, loseOwner, state } = await intercepting();
    node.ruleError = failure('nft', 'no');
    await loseOwner();
    assert.equal(state(), 'withdrawn');
    node.ruleError = undefined;
    await clock.advance(5_000);
    assert.equal(state(), 'intercepting');
  });

  it('retries a failed set-up, and probes the agent in the meantime', async () => {
    const init = await startFakeInit();
    const agent = init.connect();
    init.node.ruleError = failure('nft', 'no');
    init.node.round = answered('me');
    await agent.ready('me');
    assert.equal(init.state(), 'waiting');
    init.node.ruleError = undefined;
    await init.clock.advance(5_000);
    assert.equal(init.state(), 'intercepting');
  });

  it('reports "off" without rules to install, whatever the agent does', async () => {
    const init = await intercepting({ argv: ['--setupiptables=false'] });
    assert.equal(init.state(), 'off');
    await init.agent.withdraw();
    assert.equal(init.state(), 'off');
    assert.deepEqual(init.node.steps, []);
  });

  it('sends agents a status only after a change', async () => {
    const { clock, messages } = await intercepting();
    const { length } = messages;
    await clock.advance(60_000);
    assert.equal(messages.length, length);
  });
});
