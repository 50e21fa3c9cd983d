import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, it } from 'node:test';
import { FOLDERS, selectTests } from '../../support/tree/selection.ts';

const ALL = ['test/netns/b.test.ts', 'test/unit/a/b.test.ts', 'test/unit/c.test.ts'];

describe('what npm test runs', () => {
  it('every folder, without arguments', () => {
    const groups = selectTests([], ALL);
    assert.deepEqual(
      groups.map(({ name }) => name),
      FOLDERS.map((folder) => `${folder} tests`),
    );
    assert.deepEqual(groups.flatMap(({ files }) => files).sort(), ALL);
  });

  it('has a folder for every test file of the tree', () => {
    const all = globSync('test/**/*.test.ts');
    const selected = selectTests([], all).flatMap(({ files }) => files);
    assert.deepEqual(selected.toSorted(), all.toSorted());
  });

  it('one folder, with everything below it', () => {
    assert.deepEqual(selectTests(['unit'], ALL), [
      { name: 'unit tests', files: ['test/unit/a/b.test.ts', 'test/unit/c.test.ts'] },
    ]);
  });

  it('files by their paths, each once, before folders', () => {
    const c = 'test/unit/c.test.ts';
    assert.deepEqual(selectTests(['netns', c, `./${c}`, resolve(c)], ALL), [
      { name: 'chosen files', files: [c] },
      { name: 'netns tests', files: ['test/netns/b.test.ts'] },
    ]);
  });

  for (const unknown of ['units', 'test/unit/d.test.ts', 'test/unit', 'test/unit/a/helper.ts', ''])
    it(`refuses "${unknown}" and lists the accepted names`, () => {
      assert.throws(() => selectTests([unknown], ALL), /no tests at ".*": name folders \(unit, /);
    });

  it('the command exits with 2 and that text before it installs or builds anything', () => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ['test/run.ts', 'unit', 'nonsense'],
      { encoding: 'utf8' },
    );
    assert.deepEqual([status, stdout], [2, '']);
    assert.match(stderr, /^no tests at "nonsense": /);
  });
});
