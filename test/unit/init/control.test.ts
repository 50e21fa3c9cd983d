import assert from 'node:assert/strict';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { AlreadyRunningError, type ControlHandlers, listenControl } from '../../../init/control.ts';
import { fakeLog } from './fake-system.ts';

describe('control socket', () => {
  const silent: ControlHandlers = {
    status: () => ({ type: 'status', state: 'waiting', backend: 'nft', setupErrors: {} }),
    onReady: () => undefined,
    onWithdraw: async () => undefined,
    onGone: () => undefined,
  };

  async function withFolder(work: (path: string) => Promise<void>): Promise<void> {
    const folder = await mkdtemp(join(tmpdir(), 'nodens-control-'));
    try {
      await work(join(folder, 'deep', 'control.sock'));
    } finally {
      await rm(folder, { recursive: true });
    }
  }

  const uid = process.getuid?.() ?? 0;

  it('greets with the status, and acknowledges only after withdrawal is done', () =>
    withFolder(async (path) => {
      const withdrawal = Promise.withResolvers<void>();
      const asked = Promise.withResolvers<void>();
      const control = await listenControl(path, uid, fakeLog().log, {
        ...silent,
        onWithdraw: () => {
          asked.resolve();
          return withdrawal.promise;
        },
      });
      let heard = '';
      const socket = connect(path).setEncoding('utf8');
      socket.on('data', (chunk) => {
        heard += chunk;
      });
      socket.write('{"type":"withdraw"}\n{"type":"of a later version"}\n');
      await asked.promise;
      assert.match(heard, /^{"type":"status","state":"waiting"[^\n]*}\n$/);
      const acknowledged = new Promise((resolve) => {
        socket.once('data', resolve);
      });
      withdrawal.resolve();
      assert.equal(await acknowledged, '{"type":"withdrawn"}\n');
      socket.destroy();
      await control.close();
    }));

  it('the end of a connection is news, garbage ends it', () =>
    withFolder(async (path) => {
      const gone = Promise.withResolvers<object>();
      const ready: object[] = [];
      const { log, lines } = fakeLog();
      const control = await listenControl(path, uid, log, {
        ...silent,
        onReady: (agent) => ready.push(agent),
        onGone: gone.resolve,
      });
      const socket = connect(path);
      socket.on('error', () => undefined);
      socket.write(`{"type":"ready"}\n${'x'.repeat(5_000)}`);
      assert.equal(await gone.promise, ready[0]);
      assert.deepEqual(lines, ['warn control socket: not a message, connection closed']);
      await control.close();
    }));

  it('is for its owner only, replaces a stale file, and yields to one that is alive', () =>
    withFolder(async (path) => {
      const first = await listenControl(path, uid, fakeLog().log, silent);
      assert.equal((await stat(path)).mode & 0o777, 0o600);
      await assert.rejects(listenControl(path, uid, fakeLog().log, silent), AlreadyRunningError);
      await first.close();
      await writeFile(path, 'left over');
      const second = await listenControl(path, uid, fakeLog().log, silent);
      await second.close();
    }));
});
