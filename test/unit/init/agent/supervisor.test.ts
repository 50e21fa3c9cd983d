import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { adminSocketEnv, Supervisor } from '../../../../init/agent/supervisor.ts';
import type { Log } from '../../../../init/log.ts';
import { FakeClock, settle } from '../../../support/fake-clock.ts';

interface FakeChild {
  readonly signals: string[];
  readonly end: (code: number) => void;
}

function setup() {
  const clock = new FakeClock();
  const children: FakeChild[] = [];
  const supervisor = new Supervisor(clock, async () => {
    const { promise, resolve } = Promise.withResolvers<number>();
    const child = { signals: [] as string[], end: resolve };
    children.push(child);
    return {
      exited: promise,
      kill: (signal) => {
        child.signals.push(signal);
        if (signal === 'SIGKILL') resolve(137);
      },
    };
  });
  let code: number | undefined;
  void supervisor.exited.then((ended) => {
    code = ended;
  });
  return { clock, children, supervisor, code: () => code };
}

describe('supervisor of the agent', () => {
  it('the supervisor ends with the exit code of an agent that ends by itself', async () => {
    const { children, supervisor, code } = setup();
    await supervisor.start();
    children[0]?.end(7);
    await settle();
    assert.equal(code(), 7);
  });

  it('a restart kills the agent and waits longer each time; the supervisor runs on', async () => {
    const { clock, children, supervisor, code } = setup();
    await supervisor.start();
    for (const waitMs of [1_000, 2_000, 4_000]) {
      const before = children.length;
      void supervisor.restart();
      void supervisor.restart();
      await clock.advance(waitMs - 1);
      assert.deepEqual(children.at(-1)?.signals, ['SIGKILL']);
      assert.equal(children.length, before);
      await clock.advance(1);
      assert.equal(children.length, before + 1);
    }
    assert.equal(code(), undefined);
    children.at(-1)?.end(3);
    await settle();
    assert.equal(code(), 3);
  });

  it('a stop during a restart starts no other agent', async () => {
    const { clock, children, supervisor, code } = setup();
    await supervisor.start();
    void supervisor.restart();
    await settle();
    supervisor.stop('SIGTERM');
    await clock.advance(60_000);
    assert.equal(children.length, 1);
    assert.equal(code(), 137);
  });

  it('a stop sends SIGCONT after SIGTERM, so that a frozen agent ends, too', async () => {
    const { children, supervisor } = setup();
    await supervisor.start();
    supervisor.stop('SIGTERM');
    assert.deepEqual(children[0]?.signals, ['SIGTERM', 'SIGCONT']);
  });
});

describe('the folder of the admin socket', () => {
  const logged: string[] = [];
  const log = { info: (message: string) => logged.push(message) } as unknown as Log;
  const uid = process.getuid?.() ?? 0;

  it('is beside the control socket, and of the agent alone', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'nodens-admin-'));
    try {
      const env = await adminSocketEnv(join(folder, 'run', 'control.sock'), log, uid);
      assert.deepEqual(env, { NODENS_ADMIN_SOCKET: join(folder, 'run/agent/admin.sock') });
      const { mode, uid: owner } = statSync(join(folder, 'run/agent'));
      assert.deepEqual([mode & 0o777, owner], [0o700, uid]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('that cannot be made is no reason not to start', async () => {
    assert.deepEqual(await adminSocketEnv('', log, uid), {});
    assert.deepEqual(await adminSocketEnv(`${import.meta.filename}/x/control.sock`, log, uid), {});
    assert.deepEqual(logged, ['no folder for the admin socket of the agent']);
  });
});
