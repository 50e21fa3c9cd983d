/** The house rules that no linter knows: each failure names the fix. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { describe, it } from 'node:test';

const sources = [...globSync('{agent,init}/**/*.{ts,c}'), ...globSync('launcher/*.c')].sort();
const linesOf = (file: string): string[] => readFileSync(file, 'utf8').split('\n');

/** Tables. */
const MAY_BE_LONG = new Set(['agent/observe/names.ts']);
const MAX_LINES = 300;
const BIOME = resolve('node_modules/.bin/biome');
const MAX_COLUMNS = 130;

function offenders(files: readonly string[], pattern: RegExp): string[] {
  return files.flatMap((file) =>
    linesOf(file).flatMap((line, i) => (pattern.test(line) ? [`${file}:${i + 1}: ${line}`] : [])),
  );
}

describe('house rules', () => {
  it('a file is one concern: at most 300 lines', () => {
    const long = sources.filter(
      (file) => !MAY_BE_LONG.has(file) && linesOf(file).length > MAX_LINES,
    );
    assert.deepEqual(long, [], 'split by concern');
  });

  it('lines fit a screen', () => {
    const wide = offenders(sources, new RegExp(`^.{${MAX_COLUMNS},}$`));
    assert.deepEqual(wide, [], 'wrap the comment or the text');
  });

  it('only base/clock reads time and sets timers', () => {
    const others = sources.filter((file) => file !== 'agent/base/clock.ts');
    const calls = /\b(Date\.now|new Date\(\)|performance\.now|setTimeout|setInterval)\(?/;
    assert.deepEqual(offenders(others, calls), [], 'take a Clock');
  });

  it('nothing is left for later', () => {
    // In two halves, so that this file is not one of them.
    const marks = ['TO-DO', 'FIX-ME', 'X-XX', 'HA-CK'].map((mark) => mark.replace('-', ''));
    const found = offenders(sources, new RegExp(`\\b(${marks.join('|')})\\b`));
    assert.deepEqual(found, [], 'do it, or say it in an issue');
  });

  it('types are not silenced', () => {
    const silencers = /@ts-(ignore|nocheck|expect-error)|\bas any\b|biome-ignore|oxlint-disable/;
    assert.deepEqual(offenders(sources, silencers), [], 'give it its type');
  });

  it('a package that is loaded late is not taken apart', () => {
    const named = offenders(
      sources,
      /\}\s*=\s*await import\('(?![./]|node:)|import\('(?![./]|node:)[^']*'\)\)\.(?!default)/,
    );
    assert.deepEqual(named, [], 'in the bundle a CommonJS package has a default export only');
  });

  it('every room is in the map of README', () => {
    const readme = readFileSync('README.md', 'utf8');
    const rooms = globSync('agent/*/').map((dir) => `agent/${dir.split('/').at(-1)}`);
    const missing = rooms.filter((room) => room !== 'agent/cli' && !readme.includes(`\`${room}\``));
    assert.deepEqual(missing, [], 'name the room in README.md');
  });
});

describe('room rules', () => {
  const forbidden: readonly (readonly [string, string])[] = [
    ['agent/base/x.ts', '../dns/name.ts'],
    ['agent/base/x.ts', 'node:fs'],
    ['agent/dns/x.ts', '../query/query.ts'],
    ['agent/dns/x.ts', 'dns-packet'],
    ['agent/query/x.ts', '../cache/cache.ts'],
    ['agent/query/x.ts', '../config/corefile/parser.ts'],
    ['agent/plugins/x/setup.ts', '../cache/handler.ts'],
    ['agent/plugins/x/setup.ts', '../../config/watch.ts'],
    ['agent/plugins/x/setup.ts', '../../upstream/upstreams.ts'],
    ['agent/plugins/x/setup.ts', 'node:net'],
    ['agent/plugins/x/setup.ts', 'pino'],
    ['agent/cache/x.ts', '../upstream/upstreams.ts'],
    ['agent/upstream/x.ts', '../cache/cache.ts'],
    ['agent/upstream/x.ts', 'node:fs'],
    ['agent/server/x.ts', '../plugins/order.ts'],
    ['agent/config/x.ts', 'node:fs'],
    ['agent/config/x.ts', '../query/query.ts'],
    ['agent/observe/x.ts', '../server/listeners.ts'],
    ['init/x.ts', '../agent/dns/name.ts'],
    ['init/x.ts', 'pino'],
    ['agent/plugins/x/setup.ts', '@opentelemetry/api'],
    ['agent/cache/x.ts', 'pprof-format'],
    ['agent/observe/x.ts', 'yaml'],
  ];
  const allowed: readonly (readonly [string, string])[] = [
    ['agent/plugins/x/setup.ts', '../../config/corefile/args.ts'],
    ['agent/plugins/x/setup.ts', '../../dns/name.ts'],
    ['agent/plugins/x/setup.ts', './handler.ts'],
    ['agent/cache/x.ts', 'lru-cache'],
    ['agent/upstream/x.ts', 'node:net'],
    ['init/x.ts', '../agent/base/clock.ts'],
    ['agent/daemon/x.ts', '../server/listeners.ts'],
    ['agent/observe/x.ts', '@opentelemetry/api'],
  ];
  const refused = lintTree([...forbidden, ...allowed]);

  for (const [i, [file, module]] of forbidden.entries()) {
    it(`${file.replace(/\/[^/]*$/, '')} may not import ${module}`, () => {
      assert.equal(refused.has(i), true);
    });
  }

  for (const [i, [file, module]] of allowed.entries()) {
    it(`${file.replace(/\/[^/]*$/, '')} may import ${module}`, () => {
      assert.equal(refused.has(forbidden.length + i), false);
    });
  }
});

/** Lints a tree that holds one import a file; which of them, by index, the rules of `biome.json` refuse. */
function lintTree(imports: readonly (readonly [string, string])[]): ReadonlySet<number> {
  const dir = mkdtempSync(join(tmpdir(), 'nodens-rooms-'));
  try {
    const { vcs: _, ...config } = JSON.parse(readFileSync('biome.json', 'utf8'));
    writeFileSync(join(dir, 'biome.json'), JSON.stringify(config));
    for (const [i, [file, module]] of imports.entries()) {
      const path = join(dir, dirname(file), `case-${i}.ts`);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, `import '${module}';\n`);
    }
    const args = ['lint', '--only=style/noRestrictedImports', '--reporter=github', '.'];
    const { stdout } = spawnSync(BIOME, args, { cwd: dir, encoding: 'utf8' });
    return new Set(Array.from(stdout.matchAll(/case-(\d+)\.ts/g), ([, i]) => Number(i)));
  } finally {
    rmSync(dir, { recursive: true });
  }
}
