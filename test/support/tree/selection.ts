/** Which test files `npm test` runs, from its arguments. */
import { relative, resolve } from 'node:path';

/** In this order: quick tests come first. */
export const FOLDERS = ['unit', 'property', 'replay', 'conformance', 'hostile', 'netns'];

export interface TestGroup {
  readonly name: string;
  /** Paths from the root of the tree. */
  readonly files: readonly string[];
}

/**
 * `chosen`: names of folders below `test/`, or paths of test files; without any, every folder. `all`: every test file
 * of the tree. Throws with a text for the command line where an argument is neither.
 */
export function selectTests(chosen: readonly string[], all: readonly string[]): TestGroup[] {
  const inFolder = (folder: string): TestGroup => ({
    name: `${folder} tests`,
    files: all.filter((file) => file.startsWith(`test/${folder}/`)),
  });
  if (chosen.length === 0) return FOLDERS.map(inFolder);

  const known = new Set(all);
  const files = chosen
    .filter((argument) => !FOLDERS.includes(argument))
    .map((argument) => {
      const file = relative('.', resolve(argument));
      if (!known.has(file)) throw new Error(unknownText(argument));
      return file;
    });
  const folders = FOLDERS.filter((folder) => chosen.includes(folder)).map(inFolder);
  return files.length === 0
    ? folders
    : [{ name: 'chosen files', files: [...new Set(files)] }, ...folders];
}

function unknownText(argument: string): string {
  return (
    `no tests at "${argument}": name folders (${FOLDERS.join(', ')}) ` +
    `or test files (such as test/unit/query/asked.test.ts)`
  );
}
