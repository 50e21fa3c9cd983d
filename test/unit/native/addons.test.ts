/** The addons that `native/sources.json` defines. */
import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { hasHeaders } from '../../fuzz/addon/build.ts';

const ROOT = new URL('../../../', import.meta.url).pathname;
const NATIVE = join(ROOT, 'native');

const { addons } = JSON.parse(readFileSync(join(NATIVE, 'sources.json'), 'utf8')) as {
  readonly addons: Readonly<Record<string, readonly string[]>>;
};

const OFFERED: Readonly<Record<string, readonly string[]>> = {
  agent: [
    ...['close', 'connect', 'open', 'port', 'receiveNow', 'sendDeferred'],
    ...[
      'acceptNext',
      'clearBytes',
      'holdMemory',
      'listenWithTakeover',
      'releasePages',
      'shrinkHeap',
    ],
  ],
  init: [
    ...['closeNetlink', 'openNetlink', 'queryNetlink', 'unwatchNetlink', 'watchNetlink'],
    ...['reap', 'releasePages'],
  ],
};

it('every C file but the launcher belongs to an addon, and every file of the list is there', () => {
  const files = globSync('*/*.c', { cwd: NATIVE, exclude: ['launcher'] });
  assert.deepEqual([...new Set(Object.values(addons).flat())].sort(), files.sort());
});

it('has a README that names every file', () => {
  const readme = readFileSync(join(NATIVE, 'README.md'), 'utf8');
  const missing = globSync('*/*.c', { cwd: NATIVE }).filter(
    (file) => !readme.includes(`\`${file}\``),
  );
  assert.deepEqual(missing, [], 'add it to the table of native/README.md');
});

it('compiles without a warning, and each addon exports what its program needs and nothing else', () => {
  if (!hasHeaders || spawnSync('cc', ['--version']).status !== 0) return;
  const folder = mkdtempSync(join(tmpdir(), 'nodens-addons-'));
  try {
    const args = [join(ROOT, 'compile.mjs'), folder, '-O2', '-Werror'];
    const { status, stdout } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    assert.equal(status, 0, stdout);
    const load = createRequire(import.meta.url);
    for (const [program, functions] of Object.entries(OFFERED)) {
      const addon = load(join(folder, `${program}.node`)) as Readonly<Record<string, unknown>>;
      assert.deepEqual(Object.keys(addon).sort(), functions.toSorted(), program);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it('prints the failure and fails when called by hand', () => {
  if (!hasHeaders) return;
  const folder = mkdtempSync(join(tmpdir(), 'nodens-addons-'));
  try {
    const { status, stdout } = spawnSync(process.execPath, [join(ROOT, 'compile.mjs'), folder], {
      encoding: 'utf8',
      env: { ...process.env, CC: '/nonexistent/cc' },
    });
    assert.equal(status, 1);
    assert.match(stdout, /^nodens: no addon for agent, .*\/nonexistent\/cc ENOENT$/m);
    assert.match(stdout, /^nodens: no addon for init, .*\/nonexistent\/cc ENOENT$/m);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
