import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { compile, hasHeaders, PARTS } from '../../fuzz/addon/build.ts';
import { keptSeeds, seedsName } from '../../fuzz/seeds.ts';
import { canMakeNetns } from '../../support/netns/netns.ts';

const path = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
const canCompile = hasHeaders && spawnSync('cc', ['--version']).status === 0;

function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): string {
  const options = { encoding: 'utf8', timeout: 60_000, env: { ...process.env, ...env } } as const;
  const { status, signal, stdout, stderr } = spawnSync(program, args, options);
  assert.equal(status, 0, `${program} ${args.join(' ')}: ${signal ?? status}\n${stdout}${stderr}`);
  return stdout.trim();
}

/** Root may change tables of the kernel: the tests run in a network namespace of their own. */
const APART = [
  ...(canMakeNetns() ? ['unshare', '--net'] : []),
  ...[
    'sh',
    '-c',
    `${canMakeNetns() ? 'ip link set lo up; ' : ''}LD_PRELOAD="$PRELOAD" exec "$@"`,
    'sh',
  ],
];

const library = (name: string): string => run('cc', [`-print-file-name=${name}`]);

it('the addons, watched by the address and undefined-behaviour sanitizers, survive stress', () => {
  if (!canCompile) return;
  const folder = mkdtempSync(join(tmpdir(), 'nodens-sanitized-'));
  try {
    const flags = ['-g', '-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover=undefined'];
    run(process.execPath, [path('../../../compile.mjs'), folder, ...flags]);
    const stresses = [
      [path('../../support/server/addon-stress.ts'), folder, '40'],
      ...(canMakeNetns() ? [[path('../../support/netlink/stress.ts'), folder, '150']] : []),
    ];
    for (const stress of stresses) {
      const [program = '', ...args] = [...APART, process.execPath, '--expose-gc', ...stress];
      const printed = run(program, args, {
        PRELOAD: `${library('libasan.so')} ${library('libubsan.so')}`,
        // Node itself frees little at its exit: other tests look for leaks by counting descriptors and memory.
        ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=1',
      });
      assert.match(printed, /^survived [1-9]\d{3,}$/);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

for (const part of PARTS) {
  it(`${part}.c is correct for any bytes`, () => {
    if (!canCompile) return;
    const folder = mkdtempSync(join(tmpdir(), 'nodens-sanitized-'));
    try {
      const program = join(folder, 'replay');
      compile(part, 'cc', program);
      const seeds = keptSeeds(seedsName(part)).map((bytes, i) => {
        const file = join(folder, `seed-${i}`);
        writeFileSync(file, bytes);
        return file;
      });
      assert.equal(run(program, ['2000', ...seeds]), 'survived');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}
