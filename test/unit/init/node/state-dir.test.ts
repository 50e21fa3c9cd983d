import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { AGENT_UID } from '../../../../init/agent/supervisor.ts';
import type { Log } from '../../../../init/log.ts';
import {
  explainStateDir,
  prepareStateDir,
  removeStateDir,
} from '../../../../init/node/state-dir.ts';

let root = '';
let said: string[] = [];
const log: Log = {
  info: (message) => void said.push(`info ${message}`),
  warn: (message) => void said.push(`warn ${message}`),
  error: (message) => void said.push(`error ${message}`),
};

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'nodens-state-'));
  said = [];
});
afterEach(() => rmSync(root, { recursive: true }));

/** Only root can change the owner of a folder. */
const isRoot = process.getuid?.() === 0;

describe('folder for the snapshot', () => {
  if (isRoot)
    it("is created if it is missing, with access for root and the agent's group only", async () => {
      const path = join(root, 'lib', 'nodens');
      assert.equal((await explainStateDir(path))[0], `mkdir -p ${path}`);
      await prepareStateDir(path, log);
      const { uid, gid, mode } = statSync(path);
      assert.deepEqual([uid, gid, mode & 0o777], [0, AGENT_UID, 0o770]);
      assert.deepEqual(await explainStateDir(path), []);
      await prepareStateDir(path, log);
      assert.equal(said.length, 1, 'the second call has changed something');
    });

  if (isRoot)
    it('is not changed if it belongs to the agent', async () => {
      chownSync(root, AGENT_UID, 0);
      chmodSync(root, 0o750);
      await prepareStateDir(root, log);
      assert.equal(statSync(root).mode & 0o777, 0o750);
      assert.deepEqual(said, []);
    });

  if (isRoot)
    it('loses the write permission of other users', async () => {
      for (const owner of [0, AGENT_UID]) {
        chownSync(root, owner, AGENT_UID);
        chmodSync(root, 0o777);
        assert.equal((await explainStateDir(root)).length, 2);
        await prepareStateDir(root, log);
        assert.equal(statSync(root).mode & 0o7777, 0o770);
      }
    });

  it('is not changed if it is a symbolic link, nor is the target of the link', async () => {
    const elsewhere = join(root, 'elsewhere');
    mkdirSync(elsewhere, { mode: 0o700 });
    symlinkSync(elsewhere, join(root, 'link'));
    await prepareStateDir(join(root, 'link'), log);
    const { gid, mode } = statSync(elsewhere);
    assert.deepEqual([gid, mode & 0o777], [process.getgid?.(), 0o700]);
    assert.match(said.join(), /^warn cannot make the folder writable for the agent/);
  });

  it('causes a warning if init cannot create it', async () => {
    writeFileSync(join(root, 'file'), '');
    await prepareStateDir(join(root, 'file', 'below'), log);
    assert.equal(said.length, 1);
    assert.match(said[0] ?? '', /^warn cannot make the folder writable for the agent/);
  });

  it("loses the agent's files at cleanup, and no others", async () => {
    for (const name of [
      'cache.snapshot',
      'cache.snapshot.damaged',
      'cache.snapshot.untrusted',
      'cache.snapshot.tmp-0a-1',
      'notes',
    ])
      writeFileSync(join(root, name), '');
    mkdirSync(join(root, 'cache.snapshots'));
    assert.equal((await removeStateDir(root)).length, 4);
    assert.deepEqual(readdirSync(root).sort(), ['cache.snapshots', 'notes']);
    assert.deepEqual(await removeStateDir(join(root, 'missing')), []);
  });

  it('is removed at cleanup if no other files are in it', async () => {
    const path = join(root, 'nodens');
    mkdirSync(path);
    writeFileSync(join(path, 'cache.snapshot'), '');
    assert.deepEqual(await removeStateDir(path), [join(path, 'cache.snapshot'), path]);
    assert.deepEqual(readdirSync(root), []);
  });
});
