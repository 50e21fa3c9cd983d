import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { failure } from '../fake-system.ts';
import { answered, HUNG, intercepting, REFUSED, startFakeInit } from './fake-init.ts';

/** Resolved or not, without waiting for time. */
async function isDone(promise: Promise<unknown>): Promise<boolean> {
  const later = new Promise<boolean>((resolve) => {
    setImmediate(resolve, false);
  });
  return Promise.race([promise.then(() => true), later]);
}

describe('service of init', () => {
  it('waits for the agent with standing rules only, and says so', async () => {
    const init = await startFakeInit();
    init.connect();
    assert.equal(init.state(), 'waiting');
    assert.deepEqual(init.node.steps, ['rules 0']);
    await init.clock.advance(30_000);
    assert.equal(init.state(), 'waiting');
    assert.ok(init.lines.includes('info set up'));
  });

  it('intercepts after one good round for an agent that is ready', async () => {
    const init = await startFakeInit();
    const agent = init.connect();
    await init.clock.advance(2_000);
    init.node.round = answered('me');
    await agent.ready('me');
    assert.deepEqual(init.node.steps, ['rules 0', 'rules 4']);
    assert.equal(init.state(), 'intercepting');
  });

  it('does not intercept for an agent whose nonce no probe brings', async () => {
    const init = await startFakeInit();
    init.node.round = answered('another');
    await init.connect().ready('me');
    await init.clock.advance(5_000);
    assert.equal(init.state(), 'waiting');
  });

  it('intercepts for an agent that answers and has never connected', async () => {
    const init = await startFakeInit();
    init.node.round = answered('silent');
    await init.clock.advance(1_000);
    assert.equal(init.node.steps.at(-1), 'rules 4');
  });

  it('acknowledges a goodbye when the query rules are gone', async () => {
    const { agent, node, state, lines } = await intercepting();
    await agent.withdraw();
    assert.deepEqual(node.steps.slice(0, 1), ['release']);
    assert.equal(state(), 'withdrawn');
    await agent.end();
    assert.ok(!lines.some((line) => line.includes('killed')));
  });

  it('where rules go with a pass, a goodbye is acknowledged after that pass', async () => {
    const { agent, node } = await intercepting({ isOwner: false });
    const lock = Promise.withResolvers<void>();
    node.lock = lock.promise;
    const left = agent.withdraw();
    assert.equal(await isDone(left), false);
    lock.resolve();
    await left;
    assert.deepEqual(node.steps, ['release', 'rules 0']);
  });

  it('an agent that says goodbye while it is withdrawn already waits for the same end', async () => {
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

  it('an agent whose connection ends is withdrawn, and comes back when it is ready again', async () => {
    const { agent, connect, state, lines } = await intercepting();
    await agent.end();
    assert.ok(lines.includes('warn agent killed: its connection ended without a withdrawal'));
    assert.equal(state(), 'withdrawn');
    await connect().ready('me');
    assert.equal(state(), 'intercepting');
  });

  it('an agent that hangs is withdrawn after three rounds, its connections reset', async () => {
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

  it('an agent that hung comes back after a minute and eight good rounds', async () => {
    const { clock, node, state } = await intercepting();
    node.round = HUNG;
    await clock.advance(750);
    node.round = answered('me');
    await clock.advance(59_000);
    assert.equal(state(), 'withdrawn');
    await clock.advance(1_500);
    assert.equal(state(), 'intercepting');
  });

  it('an agent whose port refuses is withdrawn without a flap, and comes back at once', async () => {
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

  it('puts back what other programs changed, in every state, and keeps the state', async () => {
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

  it('installs the query rules again when the process that owned them ends', async () => {
    const { node, loseOwner, state, lines } = await intercepting();
    await loseOwner();
    assert.deepEqual(node.steps, ['rules 4']);
    assert.equal(state(), 'intercepting');
    assert.ok(!lines.some((line) => line.includes('restored')));
  });

  it('where lost rules cannot be installed again, the state says so until they are', async () => {
    const { clock, node, loseOwner, state } = await intercepting();
    node.ruleError = failure('nft', 'no');
    await loseOwner();
    assert.equal(state(), 'withdrawn');
    node.ruleError = undefined;
    await clock.advance(5_000);
    assert.equal(state(), 'intercepting');
  });

  it('a set-up that fails is tried again, and does not keep the agent from being probed', async () => {
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

  it('without rules to install the state is off, whatever the agent does', async () => {
    const init = await intercepting({ argv: ['--setupiptables=false'] });
    assert.equal(init.state(), 'off');
    await init.agent.withdraw();
    assert.equal(init.state(), 'off');
    assert.deepEqual(init.node.steps, []);
  });

  it('tells agents only what has changed', async () => {
    const { clock, messages } = await intercepting();
    const { length } = messages;
    await clock.advance(60_000);
    assert.equal(messages.length, length);
  });
});
