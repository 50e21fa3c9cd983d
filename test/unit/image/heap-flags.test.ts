/** The launcher in C chooses the same flags for node as agent/cli/heap.ts. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { flagsFor } from '../../../agent/cli/heap.ts';
import { HEAP_SIZES_FILE, heapSizes } from '../../support/docs/heap-sizes.ts';

const SOURCE = fileURLToPath(new URL('../../../native/launcher/nodens-launch.c', import.meta.url));
const MAIN = '/main.js';

const folder = mkdtempSync(join(tmpdir(), 'nodens-heap-'));
after(() => rmSync(folder, { recursive: true }));
const kernel = join(folder, 'kernel');

const launcher = join(folder, 'launcher');
// In the place of node: prints its arguments, then its variable, one a line.
const node = join(folder, 'node');
writeFileSync(
  node,
  '#!/bin/sh\nfor word in "$@"; do echo "$word"; done\necho "arenas=$MALLOC_ARENA_MAX"\n',
  { mode: 0o755 },
);
const macros = { NODENS_NODE: node, NODENS_MAIN: MAIN, NODENS_ROOT: kernel };
execFileSync('cc', [
  ...['-O2', '-Wall', '-Wextra', '-Werror', '-o', launcher, SOURCE],
  ...Object.entries(macros).map(([name, text]) => `-D${name}="${text}"`),
]);

/** Files of the kernel, by path. */
type Kernel = Readonly<Record<string, string>>;

function install(files: Kernel): void {
  rmSync(kernel, { recursive: true, force: true });
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(kernel + path), { recursive: true });
    writeFileSync(kernel + path, text);
  }
}

interface Started {
  readonly flags: readonly string[];
  readonly rest: readonly string[];
  readonly arenas: string;
}

function launch(argv: readonly string[], env: Readonly<Record<string, string>> = {}): Started {
  const { stdout, status } = spawnSync(launcher, argv, { encoding: 'utf8', env });
  assert.equal(status, 0);
  const words = stdout.trimEnd().split('\n');
  const main = words.indexOf(MAIN);
  const arenas = (words.at(-1) ?? '').replace('arenas=', '');
  return { flags: words.slice(0, main), rest: words.slice(main + 1, -1), arenas };
}

const v2 = (limit: string, path = '/'): Kernel => ({
  '/proc/self/cgroup': `0::${path}\n`,
  [`/sys/fs/cgroup${path === '/' ? '' : path}/memory.max`]: `${limit}\n`,
});

const MIB = 2 ** 20;
const LIMITS = [1, 40, 64, 96, 97, 100, 128, 191, 192, 193, 256, 500, 1_000, 4_096, 65_536];

const KERNELS: readonly Kernel[] = [
  {},
  v2('max'),
  v2('0'),
  v2(String(2 ** 60)),
  v2(String(128 * MIB + 4_097)),
  ...LIMITS.map((mebi) => v2(String(mebi * MIB))),
  // The smallest from the process upwards.
  {
    ...v2(String(256 * MIB), '/kubepods/pod/ctr'),
    '/sys/fs/cgroup/kubepods/memory.max': '134217728\n',
  },
  { ...v2('max', '/kubepods/pod/ctr'), '/sys/fs/cgroup/memory.max': '150000000\n' },
  {
    '/proc/self/cgroup': '12:cpu,cpuacct:/a\n9:hugetlb,memory:/docker/x\n1:name=systemd:/s\n0::/\n',
    '/sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes': '9223372036854771712\n',
    '/sys/fs/cgroup/memory/docker/memory.limit_in_bytes': '209715200\n',
    '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
  },
  { '/proc/self/cgroup': 'no cgroup\n\n3:memory:\n' },
];

const LINES: readonly (readonly string[])[] = [
  [],
  ['agent', '-conf', '/etc/Corefile'],
  ['-localip', '169.254.20.10', '-conf', 'x'],
  ...['--help', '-h', '-version', '--v', '-plugins', '---help', '-', '', 'init', 'check'].map(
    (word) => [word],
  ),
  ...[
    '64Mi',
    '8Mi',
    '1G',
    '1.5Gi',
    '1048576',
    '20k',
    '3Ki',
    '0',
    '-5',
    '1e9',
    '.5Mi',
    '1.Mi',
    '64MiB',
    ' 1',
    '',
  ].flatMap((size) => [
    ['agent', '-memory', size],
    ['-localip', 'x', `--memory=${size}`],
  ]),
  ['agent', '-memory'],
  ['agent', '-memory=16Mi', '-memory', '32Mi'],
  ['agent', '-memoryx', '16Mi', '--memory', '8Mi'],
];

test('for each memory limit and each command line, launcher and agent choose the same flags', () => {
  const different = new Set<string>();
  for (const files of KERNELS) {
    install(files);
    const read = (path: string): string | undefined => files[path];
    for (const argv of LINES) {
      const expected = flagsFor(argv, '', read);
      const { flags, rest, arenas } = launch(argv);
      assert.deepEqual(flags, expected, JSON.stringify({ files, argv }));
      assert.deepEqual(rest, argv);
      assert.equal(arenas, expected.length > 0 ? '1' : '');
      different.add(flags.join());
    }
  }
  assert.ok(different.size > 15);
});

test('sizes that the user has set win, in NODE_OPTIONS, and arenas of malloc', () => {
  install(v2(String(128 * MIB)));
  const NODE_OPTIONS = '--max-old-space-size=99';
  assert.deepEqual(launch(['agent'], { NODE_OPTIONS }).flags, []);
  assert.deepEqual(
    flagsFor(['agent'], NODE_OPTIONS, () => undefined),
    [],
  );
  assert.notEqual(launch(['agent'], { NODE_OPTIONS: '--no-warnings' }).flags.length, 0);
  assert.equal(launch(['agent'], { MALLOC_ARENA_MAX: '4' }).arenas, '4');
});

test('a size with more digits than a number has is left to the agent', () => {
  install({});
  assert.deepEqual(launch(['agent', '-memory', '9'.repeat(400)]).flags, []);
});

test('the sizes of the launcher are those of agent/cli/heap.ts', () => {
  const remedy = 'run `npm run docs`';
  assert.equal(readFileSync(HEAP_SIZES_FILE, 'utf8'), heapSizes(), remedy);
});
