/**
 * Bundles agent and init into `dist/`. The agent starts fast: it is one file, `program.js`, with its compiled code beside it, and
 * a small file that node is called with and that loads it. init stays small: it loads the chunks that it needs.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type BuildOptions, build, type Metafile, type Plugin } from 'esbuild';
import { LIMITS } from './agent/base/limits.ts';
import { heapFlags } from './agent/cli/heap.ts';

interface PackageJson {
  readonly name: string;
  readonly version: string;
  readonly license: string;
}

const root = new URL('.', import.meta.url).pathname;
const outdir = join(root, 'dist');

/**
 * Takes Node's own modules by `require` instead of `import`. An imported one is asked for every name it has, and some
 * names load a whole library: `import 'node:http'` brings undici with it, 6 MB of heap and 8 of code that init does not use.
 */
const requiredBuiltins: Plugin = {
  name: 'required-builtins',
  setup: ({ onResolve, onLoad }) => {
    onResolve({ filter: /^node:/ }, ({ path, kind }) =>
      kind === 'import-statement' ? { path, namespace: 'builtin' } : undefined,
    );
    onLoad({ filter: /^/, namespace: 'builtin' }, ({ path }) => ({
      contents: `module.exports = require(${JSON.stringify(path)});`,
    }));
  },
};

/**
 * Parts of prom-client that the agent does not use, and what they load: the push gateway https and tls, the registry for
 * clusters node:cluster and node:child_process, exemplars OpenTelemetry. Together 1 MB of heap in every agent.
 */
const UNUSED = /^\.\/lib\/(pushgateway|cluster)$|^@opentelemetry\/api$/;

const withoutUnused: Plugin = {
  name: 'without-unused',
  setup: ({ onResolve, onLoad }) => {
    onResolve({ filter: UNUSED }, ({ path, importer }) =>
      importer.includes('/prom-client/') ? { path, namespace: 'unused' } : undefined,
    );
    onLoad({ filter: /^/, namespace: 'unused' }, () => ({ contents: 'module.exports = {};' }));
  },
};

function packageJsonOf(folder: string): PackageJson {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as PackageJson;
}

/** Folders of the packages whose code is in the bundle. */
function bundledPackages({ outputs }: Metafile): string[] {
  const files = Object.values(outputs).flatMap(({ inputs }) =>
    Object.keys(inputs).filter((file) => (inputs[file]?.bytesInOutput ?? 0) > 0),
  );
  // Greedy: a package inside another package's node_modules counts as itself.
  const folders = files.map((file) => /^.*node_modules\/(@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? '');
  return [...new Set(folders)].filter((folder) => folder !== '').map((dir) => resolve(root, dir));
}

/** The licences demand that their text goes along with every copy, and minifying removes it from the code. */
function licenceOf(folder: string): string {
  const { name, version, license } = packageJsonOf(folder);
  const texts = globSync('*', { cwd: folder })
    .filter((file) => /^(licen[cs]e|notice|copying)/i.test(file))
    .sort()
    .map((file) => readFileSync(join(folder, file), 'utf8').trim());
  if (texts.length === 0) throw new Error(`${name}@${version} (${license}) has no licence text`);
  return [`${'='.repeat(80)}\n${name} ${version} (${license})`, ...texts].join('\n\n');
}

/** What an entry of `EDGES` loads as its program, it loads here with compiled code. */
const compiledPrograms: Plugin = {
  name: 'compiled-programs',
  setup: ({ onResolve, onLoad }) => {
    onResolve({ filter: /^\.\/cli\/main\.ts$/ }, ({ kind }) =>
      kind === 'dynamic-import' ? { path: 'program.js', namespace: 'program' } : undefined,
    );
    onLoad({ filter: /^/, namespace: 'program' }, ({ path }) => ({
      contents: `const { loadProgram } = require('./agent/program.ts');
        module.exports = loadProgram(require('node:path').join(__dirname, '${path}'));`,
      resolveDir: root,
    }));
  },
};

const COMMON = {
  absWorkingDir: root,
  outdir,
  bundle: true,
  platform: 'node',
  target: 'node20',
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'none',
  sourcemap: 'linked',
  // A stack needs names and lines of the sources, not their text, which is most of a map: 4 MB of the image.
  sourcesContent: false,
  metafile: true,
} as const satisfies BuildOptions;

const VERSION = { NODENS_VERSION: JSON.stringify(packageJsonOf(root).version) };

const AGENT = {
  ...COMMON,
  format: 'cjs',
  // A script gets `require` and no loader of modules.
  supported: { 'dynamic-import': false },
  define: { ...VERSION, 'import.meta.url': '__url' },
} as const satisfies BuildOptions;

rmSync(outdir, { recursive: true, force: true });
const edges = await build({
  ...AGENT,
  entryPoints: {
    'agent/main': 'agent/main.ts',
    'agent/kubectl-nodens': 'agent/kubectl-nodens.ts',
  },
  plugins: [compiledPrograms],
});
const program = await build({
  ...AGENT,
  entryPoints: { 'agent/program': 'agent/cli/main.ts' },
  plugins: [withoutUnused],
  banner: {
    js: '(function(require,module,__path){"use strict";const __url=require("node:url").pathToFileURL(__path).href;',
  },
  footer: { js: '})' },
});
// Sources and init are ESM.
writeFileSync(join(outdir, 'agent/package.json'), '{ "type": "commonjs" }\n');
const init = await build({
  ...COMMON,
  entryPoints: { 'init/main': 'init/main.ts' },
  splitting: true,
  chunkNames: 'chunks/[name]-[hash]',
  format: 'esm',
  define: VERSION,
  plugins: [requiredBuiltins],
  // For those.
  banner: {
    js: "import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);",
  },
});

const packages = [edges, program, init].flatMap(({ metafile }) => bundledPackages(metafile));
const licences = [...new Set(packages)].map(licenceOf).sort();
writeFileSync(join(outdir, 'THIRD-PARTY-LICENSES.txt'), `${licences.join('\n\n')}\n`);

for (const name of ['agent', 'init']) {
  const addon = new URL(`build/${name}.node`, import.meta.url);
  if (existsSync(addon)) cpSync(addon, new URL(`dist/native/${name}.node`, import.meta.url));
}

// As JavaScript: Node reads TypeScript with a compiler, which must not be part of the code.
const compiler = join(outdir, 'agent/compile-code.js');
await build({
  entryPoints: ['compile-code.ts'],
  absWorkingDir: root,
  outfile: compiler,
  bundle: true,
  platform: 'node',
});
// V8 takes compiled code only with the flags that it was compiled with.
const flags = heapFlags(LIMITS.cacheBytes.default, undefined);
execFileSync(process.execPath, [...flags, compiler, join(outdir, 'agent/program.js')], {
  stdio: ['ignore', 'ignore', 'inherit'],
});
rmSync(compiler);
