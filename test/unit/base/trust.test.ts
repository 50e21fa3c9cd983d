import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { distrustOfFile, distrustOfFolder, type FileFacts } from '../../../agent/base/trust.ts';

type Kind = 'file' | 'folder' | 'link' | 'fifo' | 'socket' | 'device';

function facts(kind: Kind, uid: number, mode: number): FileFacts {
  return {
    ...{ uid, mode },
    isFile: () => kind === 'file',
    isDirectory: () => kind === 'folder',
    isSymbolicLink: () => kind === 'link',
    isFIFO: () => kind === 'fifo',
    isSocket: () => kind === 'socket',
  };
}

describe('a file of our own', () => {
  for (const uid of [0, 65_532]) {
    for (const mode of [0o600, 0o644, 0o400, 0o755]) {
      it(`is trusted with mode ${mode.toString(8)} of uid ${uid}`, () => {
        assert.equal(distrustOfFile(facts('file', uid, mode), 65_532), undefined);
      });
    }
  }

  for (const [kind, word] of [
    ['link', 'a symbolic link'],
    ['fifo', 'a FIFO'],
    ['socket', 'a socket'],
    ['folder', 'a folder'],
    ['device', 'a device'],
  ] as const) {
    it(`is not ${word}`, () => {
      const why = distrustOfFile(facts(kind, 65_532, 0o600), 65_532);
      assert.equal(why, `is ${word}, not a regular file`);
    });
  }

  it('is not trusted if it belongs to another user, nor to ours where we are root', () => {
    assert.match(distrustOfFile(facts('file', 1_000, 0o600), 65_532) ?? '', /belongs to uid 1000/);
    assert.match(distrustOfFile(facts('file', 65_532, 0o600), 0) ?? '', /belongs to uid 65532/);
  });

  for (const mode of [0o620, 0o602, 0o666]) {
    it(`is not trusted if others may write it (${mode.toString(8)})`, () => {
      const why = distrustOfFile(facts('file', 65_532, 0o100_000 | mode), 65_532);
      assert.match(why ?? '', new RegExp(`mode 0${mode.toString(8)}`));
    });
  }
});

describe('a folder of our own', () => {
  for (const [uid, mode] of [
    [0, 0o770],
    [65_532, 0o750],
    [0, 0o1777],
  ] as const) {
    it(`is trusted with mode ${mode.toString(8)} of uid ${uid}`, () => {
      assert.equal(distrustOfFolder(facts('folder', uid, mode), 65_532), undefined);
    });
  }

  it("is no link, not another user's, and not every user's to write", () => {
    const why = (kind: Kind, uid: number, mode: number) =>
      distrustOfFolder(facts(kind, uid, mode), 65_532) ?? '';
    assert.match(why('link', 0, 0o777), /is a symbolic link/);
    assert.match(why('folder', 1_000, 0o755), /belongs to uid 1000/);
    assert.match(why('folder', 0, 0o777), /written by every user of the node \(mode 0777\)/);
  });
});
