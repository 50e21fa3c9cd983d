import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import {
  AlreadyRunningError,
  type Control,
  type ControlHandlers,
  listenControl,
} from '../../../../init/agent/control-socket.ts';
import type { Log } from '../../../../init/log.ts';
import { fakeLog } from '../fake-system.ts';

describe('control socket', () => {
  const silent: ControlHandlers = {
    status: () => ({ type: 'status', state: 'waiting', backend: 'nft', setupErrors: {} }),
    onReady: () => undefined,
    onWithdraw: async () => undefined,
    onGone: () => undefined,
  };

  type Listen = (handlers: ControlHandlers, log?: Log) => Promise<Control>;

  /** Closes all servers at the end, so that a failed test does not keep the process alive. */
  async function withFolder(work: (path: string, listen: Listen) => Promise<void>): Promise<void> {
    const folder = await mkdtemp(join(tmpdir(), 'nodens-control-'));
    const path = join(folder, 'deep', 'control.sock');
    const open: Control[] = [];
    try {
      await work(path, async (handlers, log = fakeLog().log) => {
        const control = await listenControl(path, uid, log, handlers);
        open.push(control);
        return control;
      });
    } finally {
      await Promise.all(open.map((control) => control.close()));
      await rm(folder, { recursive: true });
    }
  }

  const uid = process.getuid?.() ?? 0;

  it('init sends its status first, and acknowledges a withdraw only when withdrawal is done', () =>
    withFolder(async (path, listen) => {
      const withdrawal = Promise.withResolvers<void>();
      const asked = Promise.withResolvers<void>();
      await listen({
        ...silent,
        onWithdraw: () => {
          asked.resolve();
          return withdrawal.promise;
        },
      });
      let received = '';
      const socket = connect(path).setEncoding('utf8');
      socket.on('data', (chunk) => {
        received += chunk;
      });
      socket.write('{"type":"withdraw"}\n{"type":"of a later version"}\n');
      await asked.promise;
      assert.match(received, /^{"type":"status","state":"waiting"[^\n]*}\n$/);
      const acknowledged = new Promise((resolve) => {
        socket.once('data', resolve);
      });
      withdrawal.resolve();
      assert.equal(await acknowledged, '{"type":"withdrawn"}\n');
      socket.destroy();
    }));

  it('init sends "withdrawn" to every agent before it closes the socket', () =>
    withFolder(async (path, listen) => {
      const control = await listen(silent);
      const socket = connect(path);
      let received = '';
      socket.on('data', (chunk: Buffer) => {
        received += chunk.toString();
      });
      await once(socket, 'data');
      void control.close();
      await once(socket, 'close');
      assert.match(received, /\n\{"type":"withdrawn"\}\n$/);
    }));

  it('init closes a connection that sends no message, and reports the end of its agent', () =>
    withFolder(async (path, listen) => {
      const gone = Promise.withResolvers<object>();
      const ready: object[] = [];
      const { log, lines } = fakeLog();
      const handlers = {
        ...silent,
        onReady: (agent: object) => ready.push(agent),
        onGone: gone.resolve,
      };
      await listen(handlers, log);
      const socket = connect(path);
      socket.on('error', () => undefined);
      socket.write(`{"type":"ready"}\n${'x'.repeat(5_000)}`);
      assert.equal(await gone.promise, ready[0]);
      assert.deepEqual(lines, ['warn control socket: closed a connection that sent no message']);
    }));

  it('the socket has mode 0600, replaces a stale file, and refuses a second init', () =>
    withFolder(async (path, listen) => {
      const first = await listen(silent);
      assert.equal((await stat(path)).mode & 0o777, 0o600);
      await assert.rejects(listen(silent), AlreadyRunningError);
      await first.close();
      await writeFile(path, 'left over');
      await listen(silent);
    }));
});
