/** Bundles agent and init into `dist/`: one ESM program each, with what only a subcommand needs in chunks of its own. */
import { cpSync, existsSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { build, type Metafile, type Plugin } from 'esbuild';

interface PackageJson {
  readonly name: string;
  readonly version: string;
  readonly license: string;
}

const root = new URL('.', import.meta.url).pathname;
const outdir = join(root, 'dist');

/**
 * Takes Node's own modules by `require` instead of `import`. An imported one is asked for every name it has, and some
 * names load a whole library: `import 'node:http'` brings undici with it, 6 MB of heap and 8 of code that nobody uses.
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

rmSync(outdir, { recursive: true, force: true });
const { metafile } = await build({
  entryPoints: {
    'agent/main': 'agent/main.ts',
    'agent/kubectl-nodens': 'agent/kubectl-nodens.ts',
    'init/main': 'init/main.ts',
  },
  absWorkingDir: root,
  outdir,
  bundle: true,
  splitting: true,
  chunkNames: 'chunks/[name]-[hash]',
  platform: 'node',
  target: 'node20',
  format: 'esm',
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'none',
  sourcemap: 'linked',
  // A stack needs names and lines of the sources, not their text, which is most of a map: 4 MB of the image.
  sourcesContent: false,
  metafile: true,
  define: { NODENS_VERSION: JSON.stringify(packageJsonOf(root).version) },
  plugins: [requiredBuiltins, withoutUnused],
  // For those, and for CommonJS dependencies (pino, prom-client).
  banner: {
    js: "import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);",
  },
});

const licences = bundledPackages(metafile).map(licenceOf).sort();
writeFileSync(join(outdir, 'THIRD-PARTY-LICENSES.txt'), `${licences.join('\n\n')}\n`);

for (const program of ['agent', 'init']) {
  const addon = new URL(`build/${program}.node`, import.meta.url);
  if (existsSync(addon)) cpSync(addon, new URL(`dist/native/${program}.node`, import.meta.url));
}
