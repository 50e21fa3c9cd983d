/** Sizes of the tree's files, functions and folders. */
import { spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';

/** Files of code, C and tests as well. */
export function codeFiles(): string[] {
  const inRooms = globSync('{agent,init,native,test}/**/*.{ts,mjs,c,h}');
  return [...inRooms, ...globSync('*.{ts,mjs}')].sort();
}

export function longFiles(files: readonly string[], maxLines: number): string[] {
  return files.filter((file) => readFileSync(file, 'utf8').trimEnd().split('\n').length > maxLines);
}

/** Folders with more than `maxFiles` files of their own. */
export function fullFolders(files: readonly string[], maxFiles: number): string[] {
  const folders = Map.groupBy(files, (file) => dirname(file));
  return Array.from(folders).flatMap(([folder, { length }]) => (length > maxFiles ? [folder] : []));
}

/** A function that declares tests is exempt: its length depends on the number of tests. */
const DECLARES = /^\s+(it|test|describe)\(/;

/** Functions of TypeScript with more than `maxLines` lines of code, as `file: first line`. */
export function longFunctions(maxLines: number): string[] {
  const dir = mkdtempSync(join(tmpdir(), 'nodens-sizes-'));
  try {
    const noExcessiveLinesPerFunction = { level: 'error', options: { maxLines } };
    const rules = { complexity: { noExcessiveLinesPerFunction } };
    writeFileSync(join(dir, 'biome.json'), JSON.stringify({ linter: { rules } }));
    const { stdout } = spawnSync(
      'node_modules/.bin/biome',
      [
        'lint',
        `--config-path=${dir}`,
        '--only=complexity/noExcessiveLinesPerFunction',
        '--reporter=github',
        '--max-diagnostics=none',
        'agent',
        'init',
        'test',
      ],
      { encoding: 'utf8' },
    );
    const places = stdout.matchAll(/file=([^,]+),line=(\d+),endLine=(\d+)/g);
    return Array.from(places, ([, file = '', first, last]) => {
      const lines = readFileSync(file, 'utf8')
        .split('\n')
        .slice(Number(first) - 1, Number(last));
      return { name: `${relative('.', file)}: ${lines[0]?.trim()}`, lines };
    }).flatMap(({ name, lines }) => (lines.some((line) => DECLARES.test(line)) ? [] : [name]));
  } finally {
    rmSync(dir, { recursive: true });
  }
}
