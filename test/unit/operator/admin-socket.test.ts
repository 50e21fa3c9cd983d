/** The admin socket where another process changes its folder. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { AdminSocket } from '../../../agent/operator/admin-socket.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { RecordingLogger } from '../../support/services.ts';

it('is opened later where another agent takes its file away at once', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'nodens-admin-'));
  const path = join(folder, 'admin.sock');
  const clock = new FakeClock();
  const log = new RecordingLogger();
  const handler = async (): Promise<void> => undefined;
  const socket = new AdminSocket({ paths: [path], isChosen: true, clock, log, handler });
  const { listen } = Server.prototype;
  const taken = context.mock.method(
    Server.prototype,
    'listen',
    function (this: Server, ...args: never[]) {
      const server = Reflect.apply(listen, this, args);
      rmSync(path);
      return server;
    },
  );
  try {
    await socket.open();
    assert.equal(socket.path, undefined);
    taken.mock.restore();
    await clock.advance(5_000);
    while (socket.path === undefined) await new Promise(setImmediate);
    assert.ok(existsSync(path));
  } finally {
    socket.close();
    rmSync(folder, { recursive: true });
  }
});
