/** Bundles agent and init into `dist/`: one ESM program each, with what only a subcommand needs in chunks of its own. */
import { cpSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { build, type Plugin } from 'esbuild';

const { version } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8')) as {
  version: string;
};
const outdir = new URL('dist/', import.meta.url).pathname;

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

rmSync(outdir, { recursive: true, force: true });
await build({
  entryPoints: { 'agent/main': 'agent/main.ts', 'init/main': 'init/main.ts' },
  absWorkingDir: new URL('.', import.meta.url).pathname,
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
  define: { NODENS_VERSION: JSON.stringify(version) },
  plugins: [requiredBuiltins],
  // For those, and for CommonJS dependencies (pino, prom-client).
  banner: {
    js: "import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);",
  },
});

const addon = new URL('build/nodens.node', import.meta.url);
if (existsSync(addon)) cpSync(addon, new URL('dist/native/nodens.node', import.meta.url));
