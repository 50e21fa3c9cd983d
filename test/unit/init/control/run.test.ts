import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AlreadyRunningError } from '../../../../init/agent/control-socket.ts';
import { answered, HUNG, intercepting, startFakeInit } from './fake-init.ts';

const DROP_IN = { argv: ['--supervise', '--', '-localip', '169.254.20.10'] };

describe('a run of init', () => {
  it('as sidecar: after a signal init withdraws, closes the socket and exits with 0', async () => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) {
      const { signal, node, code, clock, isMonitoring } = await intercepting();
      await signal(name);
      assert.equal(code(), 0);
      assert.deepEqual(node.steps, ['release', 'rules 0', 'closed']);
      assert.equal(isMonitoring(), false);
      await clock.advance(600_000);
      assert.equal(node.steps.length, 3, 'init did something after its end');
    }
  });

  it("--skipteardown keeps the rules that end with the agent's socket", async () => {
    const { signal, node } = await intercepting({ argv: ['--skipteardown'] });
    await signal('SIGTERM');
    assert.deepEqual(node.steps, ['release', 'rules 2', 'closed']);
  });

  it("as parent: init withdraws, forwards a signal and exits with the agent's code", async () => {
    const { signal, node, code, children } = await intercepting(DROP_IN);
    await signal('SIGTERM');
    assert.deepEqual(node.steps, ['release', 'rules 0', 'agent SIGTERM', 'agent SIGCONT']);
    assert.equal(code(), undefined);
    children[0]?.exit(3);
    await children[0]?.exited;
    await signal('SIGINT');
    assert.equal(node.steps.at(-1), 'closed');
    assert.equal(code(), 3);
  });

  it('as parent: init exits with the code of an agent that ends by itself', async () => {
    const { exited, node, children, lines } = await intercepting(DROP_IN);
    children[0]?.exit(7);
    assert.equal(await exited, 7);
    assert.deepEqual(node.steps, ['release', 'rules 0', 'closed']);
    assert.ok(lines.includes('info stopping'));
    assert.equal(children.length, 1);
  });

  it('before its exit init waits at most six seconds for a lock of another program', async () => {
    const { signal, node, clock, code } = await intercepting();
    node.lock = new Promise(() => undefined);
    await signal('SIGTERM');
    await clock.advance(5_999);
    assert.equal(code(), undefined);
    await clock.advance(1);
    assert.equal(code(), 0);
    assert.deepEqual(node.steps, ['release', 'closed']);
  });

  it('as parent: init passes SIGUSR1 on to the agent until the agent ends', async () => {
    const { signal, children, signals, exited } = await intercepting(DROP_IN);
    await signal('SIGUSR1');
    assert.deepEqual(children[0]?.signals, ['SIGUSR1']);
    children[0]?.exit(0);
    await exited;
    assert.equal(signals.listenerCount('SIGUSR1'), 0);
  });

  it('as parent: init restarts an agent after it has hung for three seconds', async () => {
    const { node, clock, children, lines } = await intercepting(DROP_IN);
    node.round = HUNG;
    await clock.advance(750);
    await clock.advance(2_999);
    assert.deepEqual(children[0]?.signals, []);
    await clock.advance(1);
    assert.deepEqual(children[0]?.signals, ['SIGKILL']);
    assert.ok(lines.includes('warn agent unresponsive: restarting it'));
    await clock.advance(1_000);
    assert.equal(children.length, 2);
  });

  it('as parent: init does not restart an agent that answers again in three seconds', async () => {
    const { node, clock, children } = await intercepting(DROP_IN);
    node.round = HUNG;
    await clock.advance(1_000);
    node.round = answered('me');
    await clock.advance(30_000);
    assert.deepEqual(children[0]?.signals, []);
  });

  it('as parent: init restarts an agent that hangs again during the hold-off', async () => {
    const { node, clock, children, phase } = await intercepting(DROP_IN);
    node.round = HUNG;
    await clock.advance(1_000);
    node.round = answered('me');
    await clock.advance(20_000);
    assert.equal(phase(), 'recovering');
    node.round = HUNG;
    await clock.advance(3_500);
    assert.deepEqual(children[0]?.signals, ['SIGKILL']);
  });

  it('as sidecar: init does not restart an agent that hangs; the liveness probe does', async () => {
    const { node, clock, lines } = await intercepting();
    node.round = HUNG;
    await clock.advance(30_000);
    assert.ok(!lines.includes('warn agent unresponsive: restarting it'));
  });

  it('init ends with an error if another init listens on the socket', async () => {
    const cannotListen = new AlreadyRunningError('/run/x');
    for (const argv of [[], DROP_IN.argv]) {
      const { exited, node } = await startFakeInit({ argv, cannotListen });
      await assert.rejects(exited, AlreadyRunningError);
      assert.deepEqual(node.steps, []);
    }
  });

  it('as parent: without a control socket init relies on probes', async () => {
    const cannotListen = new Error('read-only file system');
    const init = await startFakeInit({ ...DROP_IN, cannotListen });
    assert.deepEqual(init.socketPaths, ['']);
    assert.ok(init.lines.some((line) => line.includes('cannot open the control socket')));
    init.node.round = answered('me');
    await init.clock.advance(1_000);
    assert.equal(init.node.steps.at(-1), 'rules 4');
  });

  it('as sidecar: init ends if it cannot open the socket', async () => {
    const { exited } = await startFakeInit({ cannotListen: new Error('read-only file system') });
    await assert.rejects(exited, /read-only/);
  });
});
