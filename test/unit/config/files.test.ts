import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { identityOf, openFile, systemFiles } from '../../../agent/config/files.ts';
import { FakeClock } from '../../support/fake-clock.ts';

function scratchDir(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'nodens-files-'));
  t.after(() => rmSync(dir, { recursive: true }));
  return dir;
}

describe('the machine’s files', () => {
  it('are read as text, if regular and not huge', (t) => {
    const dir = scratchDir(t);
    writeFileSync(join(dir, 'good'), '\ufeffä');
    writeFileSync(join(dir, 'latin1'), Uint8Array.of(0x61, 0xe4));
    writeFileSync(join(dir, 'huge'), Buffer.alloc(3 * 1024 * 1024, 'x'));
    execFileSync('mkfifo', [join(dir, 'pipe')]);
    assert.equal(systemFiles.read(join(dir, 'good')), '\ufeffä');
    assert.equal(systemFiles.read(join(dir, 'latin1')), 'a\ufffd');
    assert.throws(() => systemFiles.read(join(dir, 'huge')), /is over 2097152 bytes/);
    assert.throws(() => systemFiles.read(dir), /is a directory, not a regular file/);
    assert.throws(() => systemFiles.read(join(dir, 'pipe')), /is a named pipe, not a regular file/);
    assert.throws(() => systemFiles.read('/dev/zero'), /is a device, not a regular file/);
    assert.equal(systemFiles.read('/dev/null'), '');
    assert.throws(() => systemFiles.read(join(dir, 'none')), { code: 'ENOENT' });
  });

  it('have a kind', (t) => {
    const dir = scratchDir(t);
    writeFileSync(join(dir, 'f'), '');
    symlinkSync(join(dir, 'gone'), join(dir, 'dangling'));
    assert.equal(systemFiles.kind(dir), 'directory');
    assert.equal(systemFiles.kind(join(dir, 'f')), 'file');
    assert.equal(systemFiles.kind(join(dir, 'dangling')), undefined);
    assert.deepEqual(systemFiles.list(dir).sort(), ['dangling', 'f']);
  });
});

describe('a file of any size', () => {
  it('is read in chunks, and reports whether it has changed since', async (t) => {
    const path = join(scratchDir(t), 'f');
    const bytes = Buffer.alloc(200_000, 'abc');
    writeFileSync(path, bytes);
    const file = await openFile(path, new FakeClock());
    const chunks: Buffer[] = [];
    for (let chunk = await file.read(); chunk.length > 0; chunk = await file.read())
      chunks.push(Buffer.from(chunk));
    assert.ok(chunks.length > 1);
    assert.ok(Buffer.concat(chunks).equals(bytes));
    assert.equal(file.sizeBytes, bytes.length);
    assert.equal(await file.isUnchanged(), true);
    appendFileSync(path, 'more');
    assert.equal(await file.isUnchanged(), false);
    await file.close();
    await assert.rejects(openFile(join(path, '..'), new FakeClock()), /is a directory/);
  });

  it('counts as changed after a write, and while a write in the same clock tick is possible', (t) => {
    const path = join(scratchDir(t), 'f');
    writeFileSync(path, 'one');
    const old = new FakeClock();
    const before = identityOf(statSync(path), old);
    assert.equal(identityOf(statSync(path), old), before);
    utimesSync(path, 1, 1);
    assert.notEqual(identityOf(statSync(path), old), before);
    const now = { wallMs: () => statSync(path).ctimeMs + 1 };
    assert.notEqual(identityOf(statSync(path), now), identityOf(statSync(path), now));
  });
});
