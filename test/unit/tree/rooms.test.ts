/** `docs/rooms.md` lists the allowed imports of each room; this test enforces it. */
import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { circles, hiddenImports, importsOf, treeFiles } from '../../support/tree/imports.ts';
import { objection, ROOMS_PAGE, readRooms } from '../../support/tree/rooms.ts';

const rooms = readRooms();
const files = treeFiles();
const imports = files.flatMap((file) => importsOf(file));

describe('the tree', () => {
  it('imports what the table of rooms allows', () => {
    const objections = imports.map((found) => objection(found, rooms));
    assert.deepEqual(
      objections.filter((text) => text !== undefined),
      [],
      `move the code, or change ${ROOMS_PAGE} and say why`,
    );
  });

  it('has no import cycle, of types neither', () => {
    assert.deepEqual(circles(imports), [], 'move the shared part into a third file');
  });

  it('names its imports so that this check can read them', () => {
    const sources = files.filter((file) => /^(agent|init)\//.test(file));
    // The addon is the one file that is loaded by a path, which depends on where the bundle is.
    const hidden = sources.flatMap((file) =>
      hiddenImports(readFileSync(file, 'utf8')).map((call) => `${file}: ${call}`),
    );
    assert.deepEqual(hidden, []);
  });

  it('reads all imports of the text', () => {
    assert.ok(imports.length > 1_000);
    for (const { file, target, isModule } of imports)
      if (!isModule) assert.ok(existsSync(target), `${file}: ${target}`);
  });
});

describe('the table of rooms', () => {
  it('names paths that exist', () => {
    const paths = rooms.flatMap(({ path, mayImport }) => [path, ...mayImport]);
    assert.deepEqual(
      paths.filter((path) => globSync(path).length === 0),
      [],
    );
  });

  it('has a row for every folder of agent', () => {
    const folders = globSync('agent/*/').map((folder) => folder.replace(/\/$/, ''));
    const rowed = rooms.map(({ path }) => path.replace('/*', ''));
    assert.deepEqual(
      folders.filter((folder) => !rowed.includes(folder)),
      [],
    );
  });
});

/** Whether the table refuses `statement` in a file of this name. */
function isRefused(file: string, statement: string): boolean {
  const found = importsOf(file, `/** A file. */\n${statement}\n`);
  assert.equal(found.length, 1, statement);
  return found.some((one) => objection(one, rooms) !== undefined);
}

const FORBIDDEN: readonly (readonly [string, string])[] = [
  ['agent/base/x.ts', '../dns/name.ts'],
  ['agent/base/x.ts', 'node:fs'],
  ['agent/base/x.ts', 'node:net'],
  ['agent/dns/x.ts', '../query/query.ts'],
  ['agent/dns/x.ts', 'dns-packet'],
  ['agent/query/x.ts', '../cache/cache.ts'],
  ['agent/query/x.ts', '../config/corefile/parser.ts'],
  ['agent/plugins/x/setup.ts', '../cache/handler.ts'],
  ['agent/plugins/x/setup.ts', '../order.ts'],
  ['agent/plugins/x/setup.ts', '../../config/watch.ts'],
  ['agent/plugins/x/setup.ts', '../../upstream/upstreams.ts'],
  ['agent/plugins/x/setup.ts', 'node:net'],
  ['agent/plugins/x/setup.ts', 'pino'],
  ['agent/plugins/x/setup.ts', '@opentelemetry/api'],
  ['agent/plugins/order.ts', '../cache/cache.ts'],
  ['agent/cache/x.ts', '../upstream/upstreams.ts'],
  ['agent/cache/x.ts', 'pprof-format'],
  ['agent/upstream/x.ts', '../cache/cache.ts'],
  ['agent/upstream/x.ts', 'node:fs'],
  ['agent/upstream/x.ts', 'node:fs/promises'],
  ['agent/server/x.ts', '../plugins/order.ts'],
  ['agent/config/x.ts', 'node:fs'],
  ['agent/config/x.ts', '../query/query.ts'],
  ['agent/config/corefile/x.ts', 're2js'],
  ['agent/config/watch.ts', 'node:net'],
  ['agent/observe/x.ts', '../server/listeners.ts'],
  ['agent/observe/x.ts', 'yaml'],
  ['agent/daemon/x.ts', '../../test/support/services.ts'],
  ['init/x.ts', '../agent/query/answer.ts'],
  ['init/x.ts', '../agent/daemon/daemon.ts'],
  ['init/x.ts', 'pino'],
];

const ALLOWED: readonly (readonly [string, string])[] = [
  ['agent/plugins/x/setup.ts', '../../config/corefile/args.ts'],
  ['agent/plugins/x/setup.ts', '../../dns/name.ts'],
  ['agent/plugins/x/setup.ts', './handler.ts'],
  ['agent/plugins/order.ts', './cache/setup.ts'],
  ['agent/cache/x.ts', 'lru-cache'],
  ['agent/upstream/x.ts', 'node:net'],
  ['agent/config/watch.ts', 'node:fs'],
  ['init/x.ts', '../agent/base/clock.ts'],
  ['init/x.ts', '../agent/dns/name.ts'],
  ['agent/daemon/x.ts', '../server/listeners.ts'],
  ['agent/observe/x.ts', '@opentelemetry/api'],
];

describe('the check of imports', () => {
  for (const [file, target] of FORBIDDEN)
    it(`refuses ${target} in ${file}, in every form of import`, () => {
      for (const statement of [
        `import { a } from '${target}';`,
        `import a, { type b } from '${target}';`,
        `import type { A } from '${target}';`,
        `import {\n  a,\n  b,\n} from '${target}';`,
        `import '${target}';`,
        `export * from '${target}';`,
        `  const a = await import('${target}');`,
        `  const { a } = process.getBuiltinModule('${target}');`,
      ])
        assert.ok(isRefused(file, statement), statement);
    });

  for (const [file, target] of ALLOWED)
    it(`allows ${target} in ${file}`, () => {
      assert.equal(isRefused(file, `import { a } from '${target}';`), false);
    });

  it('knows which names are imported from a module', () => {
    const from = (clause: string): boolean =>
      isRefused('agent/base/x.ts', `import ${clause} from 'node:net';`);
    assert.deepEqual(
      [
        '{ isIPv4 }',
        '{ isIPv4 as is, isIPv6 }',
        '{ isIPv4, Socket }',
        'net',
        '* as net',
        'net, { isIPv4 }',
      ].map(from),
      [false, false, true, true, true, true],
    );
  });

  it('finds a cycle, of types as well, and only cycles', () => {
    const tree = [
      importsOf('a.ts', "import { b } from './b.ts';\nimport { d } from './d.ts';"),
      importsOf('b.ts', "import { c } from './c.ts';\nimport { d } from './d.ts';"),
      importsOf('c.ts', "import type { B } from './b.ts';"),
    ].flat();
    assert.deepEqual(circles(tree), [['b.ts', 'c.ts']]);
  });

  it('finds an import whose target is computed', () => {
    assert.deepEqual(hiddenImports('await import(name); import("x"); import(\'y\')'), [
      'import(name)',
      'import("x")',
    ]);
  });
});
