/** Sizes that a reader can take in at once. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { codeFiles, fullFolders, longFiles, longFunctions } from '../../support/tree/sizes.ts';

const MAX_LINES_OF_FILE = 300;
const MAX_LINES_OF_FUNCTION = 60;
const MAX_FILES_OF_FOLDER = 15;

describe('sizes', () => {
  it(`a file is one concern: at most ${MAX_LINES_OF_FILE} lines`, () => {
    assert.deepEqual(longFiles(codeFiles(), MAX_LINES_OF_FILE), [], 'split by concern');
  });

  it(`a function fits a screen: at most ${MAX_LINES_OF_FUNCTION} lines`, () => {
    assert.deepEqual(longFunctions(MAX_LINES_OF_FUNCTION), [], 'name the steps');
  });

  it(`a folder is one topic: at most ${MAX_FILES_OF_FOLDER} files of code`, () => {
    const found = fullFolders(codeFiles(), MAX_FILES_OF_FOLDER);
    assert.deepEqual(found, [], 'make folders by topic');
  });

  it('the checks find what is too large', () => {
    assert.ok(longFiles(['agent/base/flags/table.ts'], 10).length === 1);
    assert.ok(longFunctions(25).length > longFunctions(50).length);
    assert.deepEqual(fullFolders(['a/b/c.ts', 'a/b/d.ts', 'a/e.ts'], 1), ['a/b']);
  });
});
