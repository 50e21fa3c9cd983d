/** Sizes that a reader can take in at once. The lists of exceptions only get shorter. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { codeFiles, fullFolders, longFiles, longFunctions } from '../../support/tree/sizes.ts';

const MAX_LINES_OF_FILE = 300;
const MAX_LINES_OF_FUNCTION = 60;
const MAX_FILES_OF_FOLDER = 15;

const KNOWN_LONG_FUNCTIONS: readonly string[] = [
  'agent/daemon/process-services.ts: export function createProcessServices(options: AgentOptions, clock: Clock): ProcessServices {',
];

describe('sizes', () => {
  it(`a file is one concern: at most ${MAX_LINES_OF_FILE} lines`, () => {
    assert.deepEqual(longFiles(codeFiles(), MAX_LINES_OF_FILE), [], 'split by concern');
  });

  it(`a function fits a screen: at most ${MAX_LINES_OF_FUNCTION} lines`, () => {
    const found = longFunctions(MAX_LINES_OF_FUNCTION);
    assert.deepEqual(found.toSorted(), KNOWN_LONG_FUNCTIONS, 'name the steps');
  });

  it(`a folder is one topic: at most ${MAX_FILES_OF_FOLDER} files of code`, () => {
    const found = fullFolders(codeFiles(), MAX_FILES_OF_FOLDER);
    assert.deepEqual(found, [], 'make folders by topic');
  });

  it('the measures find what is too large', () => {
    assert.ok(longFiles(['agent/base/flags/table.ts'], 10).length === 1);
    assert.ok(longFunctions(25).length > longFunctions(50).length);
    assert.deepEqual(fullFolders(['a/b/c.ts', 'a/b/d.ts', 'a/e.ts'], 1), ['a/b']);
  });
});
