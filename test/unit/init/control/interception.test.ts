import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { InterceptionSwitch } from '../../../../init/control/interception.ts';
import type { Interception } from '../../../../init/plan/desired-rules.ts';

/** A switch whose steps end when the test says so: `finish('release')`. */
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
  return { steps, finish, switched: new InterceptionSwitch(reconciler, dropsAtOnce) };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function isDone(promise: Promise<unknown>): Promise<boolean> {
  return Promise.race([promise.then(() => true), settled().then(() => false)]);
}

describe('the switch of interception', () => {
  it('what the kernel drops at a word is gone with the release, the rest follows', async () => {
    const { steps, finish, switched } = setup(true);
    const off = switched.off();
    assert.equal(await isDone(switched.gone), false);
    await finish('release');
    assert.equal(await isDone(switched.gone), true);
    assert.equal(await isDone(off), false);
    await finish('none');
    assert.equal(await isDone(off), true);
    assert.deepEqual(steps, ['release', 'none']);
  });

  it('where rules go with a pass only, nothing is gone before it', async () => {
    const { steps, finish, switched } = setup(false);
    void switched.off('socket-guarded');
    await finish('release');
    assert.equal(await isDone(switched.gone), false);
    await finish('socket-guarded');
    assert.equal(await isDone(switched.gone), true);
    assert.deepEqual(steps, ['release', 'socket-guarded']);
  });

  it('a release that ends after interception was wanted again does not end it', async () => {
    const { steps, finish, switched } = setup(true);
    void switched.off();
    void switched.on();
    await finish('release');
    assert.deepEqual(steps, ['release', 'full']);
  });

  it('who comes while it is taken away waits until it is gone', async () => {
    const { finish, switched } = setup(true);
    assert.equal(await isDone(switched.gone), true);
    void switched.off();
    const { gone } = switched;
    assert.equal(await isDone(gone), false);
    await finish('release');
    assert.equal(await isDone(gone), true);
  });
});
