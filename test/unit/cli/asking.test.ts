/** A command that asks the agent ends when it is told to, also before the agent is reached. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { ask } from '../../../agent/cli/commands/asking.ts';
import { observeCommand } from '../../../agent/cli/commands/observe.ts';

it('an answer that is ended while the socket connects has no lines', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'nodens-asking-'));
  const path = join(folder, 'admin.sock');
  // It never answers, as an agent in which no query comes.
  const server = createServer().listen(path);
  try {
    const end = new AbortController();
    const lines = ask({ command: 'observe' }, [path], end.signal);
    const first = lines.next();
    end.abort();
    assert.deepEqual(await first, { value: undefined, done: true });
  } finally {
    server.close();
    rmSync(folder, { recursive: true });
  }
});

it('an agent that takes the connection and is silent counts as none', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'nodens-asking-'));
  const path = join(folder, 'admin.sock');
  const server = createServer((socket) => socket.unref()).listen(path);
  try {
    const lines = ask({ command: 'status' }, [path], undefined, 50);
    await assert.rejects(lines.next(), {
      name: 'UnreachableError',
      message: /sent nothing for 0\.05 s: it hangs.*nodens doctor/,
    });
  } finally {
    server.close();
    rmSync(folder, { recursive: true });
  }
});

it('observe refuses to last no time', async () => {
  for (const time of ['0s', '-5s', 'x'])
    await assert.rejects(observeCommand(['-for', time]), { name: 'UsageError', message: /-for/ });
});
