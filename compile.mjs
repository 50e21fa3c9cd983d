/**
 * Compiles the addons that `native/sources.json` lists, each with one call of the C compiler. Three ways to call it:
 *
 *     node compile.mjs                   writes build/agent.node and build/init.node
 *     node compile.mjs FOLDER FLAG …     writes them to FOLDER, with these flags in place of -O2
 *     node compile.mjs --cflags          prints the flags that every C file needs
 *
 * The first is the install script and always succeeds: without a compiler or Node's headers, agent and init work without
 * their addon. Plain JavaScript, for whatever Node npm runs it on.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(fileURLToPath(import.meta.url));
const list = join(root, 'native/sources.json');

/** What a program does without its addon. */
const WITHOUT = {
  agent: 'it will use node:dgram and node:net',
  init: 'it will take more memory and look at its rules every 5 s',
};

const headers = [
  join(root, 'node_modules/node/include/node'),
  join(dirname(process.execPath), '../include/node'),
  '/usr/include/node',
  '/usr/local/include/node',
].find((folder) => existsSync(join(folder, 'node_api.h')));

/** @typedef {{ flags: string[], addons: Record<keyof typeof WITHOUT, string[]> }} Sources */

/** @param {Sources} sources */
function commonFlags({ flags }) {
  if (headers === undefined) throw new Error('no node_api.h found');
  return [...flags, `-I${headers}`];
}

/**
 * @param {Sources} sources
 * @param {keyof typeof WITHOUT} addon
 * @param {string} folder
 * @param {string[]} flags
 */
function compile(sources, addon, folder, flags) {
  const files = sources.addons[addon].map((file) => join(root, 'native', file));
  const output = ['-shared', '-fPIC', '-o', join(folder, `${addon}.node`)];
  const args = [...commonFlags(sources), ...flags, ...output, ...files];
  const { status, error, stderr } = spawnSync(process.env.CC ?? 'cc', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(error?.message ?? stderr.trim());
}

/**
 * Whether every addon was compiled.
 * @param {Sources} sources
 * @param {string} folder
 * @param {string[]} flags
 */
function compileAll(sources, folder, flags) {
  mkdirSync(folder, { recursive: true });
  let isComplete = true;
  for (const [addon, consequence] of Object.entries(WITHOUT)) {
    try {
      compile(sources, /** @type {keyof typeof WITHOUT} */ (addon), folder, flags);
    } catch (error) {
      isComplete = false;
      const reason = error instanceof Error ? error.message : String(error);
      process.stdout.write(`nodens: no addon for ${addon}, ${consequence}: ${reason}\n`);
    }
  }
  return isComplete;
}

const [target, ...flags] = process.argv.slice(2);
// The image installs packages before it copies the sources, and compiles with `npm run build`.
if (existsSync(list)) {
  const sources = /** @type {Sources} */ (JSON.parse(readFileSync(list, 'utf8')));
  if (target === '--cflags') process.stdout.write(`${commonFlags(sources).join('\n')}\n`);
  else if (target === undefined) compileAll(sources, join(root, 'build'), ['-O2']);
  else process.exitCode = compileAll(sources, target, flags) ? 0 : 1;
}
