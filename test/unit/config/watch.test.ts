import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { systemClock } from '../../../agent/base/clock.ts';
import { watchFiles, writeAtomically } from '../../../agent/config/watch.ts';
import { FakeClock } from '../../support/fake-clock.ts';

function scratchDir(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'nodens-watch-'));
  t.after(() => {
    chmodSync(dir, 0o755);
    rmSync(dir, { recursive: true, force: true });
  });
  return dir;
}

/** Root may write everywhere: gives up its privileges until the test ends. */
function withoutRoot(t: TestContext): void {
  if (process.geteuid?.() !== 0) return;
  process.seteuid?.(65_532);
  t.after(() => process.seteuid?.(0));
}

/** A ConfigMap volume as the kubelet lays it out: files are links through `..data` to a directory of this version. */
function publish(dir: string, version: number, files: Readonly<Record<string, string>>): void {
  const data = `..version_${version}`;
  mkdirSync(join(dir, data));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, data, name), text);
  symlinkSync(data, join(dir, '..data_tmp'));
  renameSync(join(dir, '..data_tmp'), join(dir, '..data'));
  if (version > 1) rmSync(join(dir, `..version_${version - 1}`), { recursive: true });
  else for (const name of Object.keys(files)) symlinkSync(join('..data', name), join(dir, name));
}

/** For tests that wait for an event of the kernel. */
const PATIENCE = { timeout: 10_000 };

/** Changes that the kernel reports: the poll interval is too long to find them. */
function kernelWatch(t: TestContext, paths: string[]): () => Promise<readonly string[]> {
  const reported: (readonly string[])[] = [];
  let wake = (): void => {};
  const watch = watchFiles(
    paths,
    systemClock,
    (changed) => {
      reported.push(changed);
      wake();
    },
    { pollMs: 3_600_000, onError: (error) => assert.fail(String(error)) },
  );
  const keepAlive = setInterval(() => {}, 1_000);
  t.after(() => {
    watch.close();
    clearInterval(keepAlive);
  });
  return async () => {
    while (reported.length === 0) await new Promise<void>((resolve) => (wake = resolve));
    return reported.shift() as readonly string[];
  };
}

describe('watching', () => {
  it('detects writes in place and atomic renames, again and again', PATIENCE, async (t) => {
    const file = join(scratchDir(t), 'Corefile');
    writeFileSync(file, 'one');
    const next = kernelWatch(t, [file]);
    for (const text of ['two', 'three']) {
      writeFileSync(file, text);
      assert.deepEqual(await next(), [file]);
      assert.equal(writeAtomically(file, `${text}!`), 'replaced');
      assert.deepEqual(await next(), [file]);
    }
  });

  it(
    'sees every swap of a ConfigMap volume, for its files and for the directory',
    PATIENCE,
    async (t) => {
      const dir = scratchDir(t);
      publish(dir, 1, { 'Corefile.base': 'one', other: 'same' });
      const paths = [join(dir, 'Corefile.base'), join(dir, 'other'), dir];
      const next = kernelWatch(t, paths);
      for (const version of [2, 3]) {
        publish(dir, version, { 'Corefile.base': `v${version}`, other: 'same' });
        assert.deepEqual(await next(), [paths[0], paths[2]]);
      }
    },
  );

  it(
    'detects when a file behind a link changes, appears, disappears and moves',
    PATIENCE,
    async (t) => {
      const dir = scratchDir(t);
      mkdirSync(join(dir, 'run'));
      const target = join(dir, 'run', 'stub.conf');
      const link = join(dir, 'resolv.conf');
      writeFileSync(target, 'one');
      symlinkSync(target, link);
      const next = kernelWatch(t, [link]);
      writeFileSync(target, 'two');
      assert.deepEqual(await next(), [link]);
      unlinkSync(link);
      assert.deepEqual(await next(), [link]);
      writeFileSync(link, 'three');
      assert.deepEqual(await next(), [link]);
      mkdirSync(join(dir, 'elsewhere'));
      const moved = join(dir, 'elsewhere', 'resolv.conf');
      writeFileSync(moved, 'four');
      symlinkSync(moved, join(dir, 'link_tmp'));
      renameSync(join(dir, 'link_tmp'), link);
      assert.deepEqual(await next(), [link]);
      writeFileSync(moved, 'five');
      assert.deepEqual(await next(), [link]);
    },
  );

  it('polls for changes that the kernel does not report, and reports only new content', async (t) => {
    const dir = scratchDir(t);
    const file = join(dir, 'later', 'still', 'Corefile');
    const clock = new FakeClock();
    const reported: unknown[] = [];
    const watch = watchFiles([file], clock, (changed) => reported.push(changed), {
      pollMs: 10_000,
    });
    await clock.advance(60_000);
    mkdirSync(join(dir, 'later', 'still'), { recursive: true });
    writeFileSync(file, 'one');
    await clock.advance(9_999);
    assert.deepEqual(reported, []);
    await clock.advance(1);
    assert.deepEqual(reported, [[file]]);
    writeFileSync(file, 'one');
    await clock.advance(60_000);
    assert.deepEqual(reported, [[file]]);
    watch.close();
    assert.equal(clock.pendingTimers, 0);
  });

  it('compares a large file by its times and size', async (t) => {
    const file = join(scratchDir(t), 'hosts');
    writeFileSync(file, 'x'.repeat(2 ** 20));
    const clock = new FakeClock();
    const reported: (readonly string[])[] = [];
    const watch = watchFiles([file], clock, (changed) => reported.push(changed), {
      pollMs: 10_000,
    });
    t.after(() => watch.close());
    await clock.advance(10_000);
    assert.deepEqual(reported, []);
    writeFileSync(file, 'y'.repeat(2 ** 20));
    utimesSync(file, 1, 1);
    await clock.advance(10_000);
    assert.deepEqual(reported, [[file]]);
  });

  it('survives a callback that throws', async (t) => {
    const file = join(scratchDir(t), 'f');
    const clock = new FakeClock();
    const errors: unknown[] = [];
    const thrown = new Error('callback');
    const fail = (): never => {
      throw thrown;
    };
    const watch = watchFiles([file], clock, fail, { onError: (error) => errors.push(error) });
    t.after(() => watch.close());
    for (const text of ['one', 'two']) {
      writeFileSync(file, text);
      await clock.advance(10_000);
    }
    assert.deepEqual(errors, [thrown, thrown]);
  });
});

describe('writing', () => {
  it('replaces the file whole, leaves no temporary file behind and keeps a link', (t) => {
    const dir = scratchDir(t);
    mkdirSync(join(dir, 'real'));
    symlinkSync(join(dir, 'real', 'f'), join(dir, 'link'));
    assert.equal(writeAtomically(join(dir, 'real', 'f'), 'one'), 'replaced');
    assert.equal(writeAtomically(join(dir, 'link'), 'two'), 'replaced');
    assert.equal(writeAtomically(join(dir, 'link'), 'two'), 'unchanged');
    assert.equal(readFileSync(join(dir, 'real', 'f'), 'utf8'), 'two');
    assert.deepEqual(readdirSync(join(dir, 'real')), ['f']);
    assert.deepEqual(readdirSync(dir).sort(), ['link', 'real']);
  });

  it('does not wait for the writer of a named pipe', (t) => {
    const pipe = join(scratchDir(t), 'Corefile');
    execFileSync('mkfifo', [pipe]);
    assert.equal(writeAtomically(pipe, 'text'), 'replaced');
    assert.equal(readFileSync(pipe, 'utf8'), 'text');
  });

  it('writes in place where the directory is not writable', (t) => {
    withoutRoot(t);
    const dir = scratchDir(t);
    writeFileSync(join(dir, 'f'), 'one');
    chmodSync(dir, 0o555);
    assert.equal(writeAtomically(join(dir, 'f'), 'two'), 'in-place');
    assert.equal(readFileSync(join(dir, 'f'), 'utf8'), 'two');
    assert.throws(() => writeAtomically(join(dir, 'new'), 'x'), { code: 'EACCES' });
  });

  it('leaves no file behind where it fails', (t) => {
    const dir = scratchDir(t);
    mkdirSync(join(dir, 'f'));
    assert.throws(() => writeAtomically(join(dir, 'f'), 'x'), { code: 'EISDIR' });
    assert.deepEqual(readdirSync(dir), ['f']);
  });

  it('throws where there is no directory', (t) => {
    assert.throws(() => writeAtomically(join(scratchDir(t), 'no', 'f'), 'x'), { code: 'ENOENT' });
  });
});
