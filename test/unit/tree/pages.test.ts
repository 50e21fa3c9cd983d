/** Paths and scripts that pages for contributors and files for the forge name exist. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { parse } from 'yaml';

const read = (path: string): string => readFileSync(path, 'utf8');
const { engines, devDependencies, scripts } = JSON.parse(read('package.json')) as {
  engines: { node: string };
  devDependencies: { node: string };
  scripts: Record<string, string>;
};

for (const page of [
  'README.md',
  'CONTRIBUTING.md',
  'docs/rooms.md',
  'docs/architecture.md',
  'examples/README.md',
]) {
  describe(page, () => {
    const text = read(page);

    it('names paths that exist', () => {
      const rooms = /(?<![\w./])(?:agent|init|test|docs|examples)\/[\w./*-]*[\w*]/g;
      const paths = Array.from(text.matchAll(rooms), ([path]) => path);
      assert.deepEqual(
        paths.filter((path) => globSync(path).length === 0),
        [],
      );
    });

    it('names npm scripts that exist', () => {
      const named = Array.from(text.matchAll(/npm run ([a-z-]+)/g), ([, name = '']) => name);
      assert.deepEqual(
        named.filter((name) => scripts[name] === undefined),
        [],
      );
    });
  });
}

describe('the version of Node', () => {
  it('is the same in every place', () => {
    const version = read('.node-version').trim();
    assert.equal(version, devDependencies.node);
    const [major] = version.split('.');
    assert.equal(engines.node, `>=${major}`);
    for (const page of ['README.md', 'CONTRIBUTING.md'])
      assert.match(read(page), new RegExp(`[Nn]eeds? Linux, Node ${major}`), page);
  });
});

describe('the workflow of the forge', () => {
  interface Job {
    readonly steps: readonly {
      readonly uses?: string;
      readonly run?: string;
      readonly with?: Readonly<Record<string, unknown>>;
    }[];
    readonly strategy?: { readonly matrix: { readonly tests: readonly string[] } };
  }
  const text = read('.github/workflows/ci.yml');
  const { jobs } = parse(text) as { jobs: Readonly<Record<string, Job>> };
  const steps = Object.values(jobs).flatMap((job) => job.steps);

  it('pins every action by commit and names its version', () => {
    const lines = text.split('\n').filter((line) => line.includes('uses:'));
    assert.equal(lines.length, steps.filter(({ uses }) => uses !== undefined).length);
    for (const line of lines)
      assert.match(line, /uses: [\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
  });

  it('runs scripts that exist', () => {
    const commands = steps.flatMap(({ run }) => run ?? []).join('\n');
    const named = Array.from(commands.matchAll(/npm run ([a-z]+)/g), ([, name = '']) => name);
    assert.ok(named.includes('lint'));
    for (const name of named) assert.ok(scripts[name] !== undefined, name);
  });

  it('runs every folder of tests', () => {
    const run = jobs.test?.strategy?.matrix.tests.flatMap((folders) => folders.split(' ')) ?? [];
    const folders = globSync('test/**/*.test.ts').map((file) => file.split('/')[1] ?? '');
    assert.deepEqual(run.toSorted(), [...new Set(folders)].sort());
  });
});

describe('forms of the forge', () => {
  for (const file of globSync('.github/ISSUE_TEMPLATE/*.yml'))
    it(`${file} is readable`, () => {
      assert.ok(parse(read(file)) !== null);
    });
});
