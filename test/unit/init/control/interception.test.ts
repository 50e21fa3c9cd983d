import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { InterceptionController } from '../../../../init/control/interception.ts';
import type { Interception } from '../../../../init/plan/desired-rules.ts';

/** A controller whose steps end when the test calls `finish`, as in `finish('release')`. */
function setup(dropsAtOnce: boolean) {
  const steps: string[] = [];
  const pending = new Map<string, () => void>();
  const step = (name: string): Promise<void> => {
    steps.push(name);
    return new Promise((resolve) => {
      pending.set(name, resolve);
    });
  };
  const reconciler = {
    want: async (interception: Interception) => {
      await step(interception);
      return true;
    },
    release: () => step('release'),
  };
  const finish = async (name: string): Promise<void> => {
    pending.get(name)?.();
    await settled();
  };
  return { steps, finish, controller: new InterceptionController(reconciler, dropsAtOnce) };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function isDone(promise: Promise<unknown>): Promise<boolean> {
  return Promise.race([promise.then(() => true), settled().then(() => false)]);
}

describe('interception controller', () => {
  it('rules in an owned table are gone after the release, before the pass', async () => {
    const { steps, finish, controller } = setup(true);
    const off = controller.withdraw();
    assert.equal(await isDone(controller.gone), false);
    await finish('release');
    assert.equal(await isDone(controller.gone), true);
    assert.equal(await isDone(off), false);
    await finish('none');
    assert.equal(await isDone(off), true);
    assert.deepEqual(steps, ['release', 'none']);
  });

  it('rules without an owned table are gone only after the pass', async () => {
    const { steps, finish, controller } = setup(false);
    void controller.withdraw('socket-guarded');
    await finish('release');
    assert.equal(await isDone(controller.gone), false);
    await finish('socket-guarded');
    assert.equal(await isDone(controller.gone), true);
    assert.deepEqual(steps, ['release', 'socket-guarded']);
  });

  it('a release that ends after a later request for interception does not end it', async () => {
    const { steps, finish, controller } = setup(true);
    void controller.withdraw();
    void controller.install();
    await finish('release');
    assert.deepEqual(steps, ['release', 'full']);
  });

  it('`gone` waits for a withdrawal that is in progress', async () => {
    const { finish, controller } = setup(true);
    assert.equal(await isDone(controller.gone), true);
    void controller.withdraw();
    const { gone } = controller;
    assert.equal(await isDone(gone), false);
    await finish('release');
    assert.equal(await isDone(gone), true);
  });
});
