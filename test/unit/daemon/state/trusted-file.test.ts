import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { writeAtomically } from '../../../../agent/config/watch.ts';
import { readTrusted, writeInPlace } from '../../../../agent/daemon/state/trusted-file.ts';

let folder = '';
let path = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nodens-own-'));
  path = join(folder, 'file');
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('a file of our own', () => {
  it('is read whole, unless it is too large', () => {
    writeFileSync(path, 'whole', { mode: 0o600 });
    assert.equal(readTrusted(path, 5).toString(), 'whole');
    assert.throws(() => readTrusted(path, 4), { name: 'TooLargeError' });
  });

  it('that is missing gives the error of the system', () => {
    assert.throws(() => readTrusted(path, 4), { code: 'ENOENT' });
  });

  it('is overwritten, and readable for others', () => {
    writeInPlace(path, 'the first text');
    writeInPlace(path, 'text');
    assert.equal(readFileSync(path, 'utf8'), 'text');
    assert.equal(statSync(path).mode & 0o777, 0o644);
  });

  it('is not written through a link', () => {
    writeFileSync(join(folder, 'other'), 'untouched');
    symlinkSync(join(folder, 'other'), path);
    assert.throws(() => writeInPlace(path, '1'), { code: 'ELOOP' });
    assert.equal(readFileSync(join(folder, 'other'), 'utf8'), 'untouched');
  });

  it('is not written to a FIFO, which would wait for its reader', () => {
    execFileSync('mkfifo', [path]);
    assert.throws(() => writeInPlace(path, '1'), { code: 'ENXIO' });
  });
});

describe('the copy of the Corefile', () => {
  it('replaces a FIFO, which would wait for its writer', () => {
    execFileSync('mkfifo', [path]);
    assert.equal(writeAtomically(path, 'text'), 'replaced');
    assert.equal(readFileSync(path, 'utf8'), 'text');
  });

  it('is not written through a link at its temporary path', () => {
    writeFileSync(join(folder, 'other'), 'untouched');
    symlinkSync(join(folder, 'other'), join(folder, `.file.${process.pid}`));
    assert.equal(writeAtomically(path, 'text'), 'replaced');
    assert.equal(readFileSync(join(folder, 'other'), 'utf8'), 'untouched');
  });
});
