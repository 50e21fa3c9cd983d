/** What a query costs, counted and not timed: the machine may be busy. The figures allowed are in `budget.ts`. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { hasHeaders } from '../../fuzz/addon/build.ts';
import { hasProgram } from '../../support/packages.ts';
import { ALLOCATED_BYTES, COMPILER, INSTRUCTIONS } from './budget.ts';

/** More is a regression. Less by as much means that the budget is too large. */
const TOLERANCE = 0.05;
/** Another compiler makes other instructions. */
const FOREIGN_TOLERANCE = 0.25;
/** A byte for each query is what V8 does beside it now and then. */
const STRAY_BYTES = 1;
const LIMIT_MS = 120_000;

const path = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

function assertWithin(
  what: string,
  found: number,
  budget: number,
  { tolerance = TOLERANCE, stray = 0 } = {},
): void {
  const change = `${what}: ${budget} in test/unit/cost/budget.ts, now ${found.toFixed(1)}`;
  const howTo =
    'Find what costs more, or state the new figure in budget.ts and the reason for it in the commit.';
  assert.ok(found <= budget * (1 + tolerance) + stray, `${change}. ${howTo}`);
  assert.ok(
    found >= budget * (1 - tolerance) - stray,
    `${change}. It has become cheaper: state the new figure, so that it stays so.`,
  );
}

describe('bytes that JavaScript allocates', () => {
  // No maglev: as the agent runs (agent/cli/heap.ts).
  const flags = ['--expose-gc', '--single-threaded', '--no-maglev'];
  const spaces = ['--min-semi-space-size=64', '--max-semi-space-size=64'];
  const output = execFileSync(process.execPath, [...flags, ...spaces, path('script-child.ts')], {
    encoding: 'utf8',
    timeout: LIMIT_MS,
  });
  const found = JSON.parse(output) as typeof ALLOCATED_BYTES;

  for (const what of Object.keys(ALLOCATED_BYTES) as (keyof typeof ALLOCATED_BYTES)[])
    it(what, () =>
      assertWithin(`${what}, bytes`, found[what], ALLOCATED_BYTES[what], { stray: STRAY_BYTES }),
    );
});

const TIMES = 1_000;
/** Datagrams or messages that one of `TIMES` stands for. */
const EACH = { hits: 64, misses: 64, filtered: 1 };

const isCountable =
  process.arch === 'x64' && hasHeaders && hasProgram('valgrind') && hasProgram('gcc');

describe('instructions of the addons', {
  skip: !isCountable && 'needs valgrind, gcc, amd64',
}, () => {
  const folder = mkdtempSync(join(tmpdir(), 'nodens-cost-'));
  after(() => rmSync(folder, { recursive: true }));
  const program = join(folder, 'native');
  let tolerance = TOLERANCE;

  const counted = (what: string, times: number): number => {
    const args = ['--tool=callgrind', '--callgrind-out-file=/dev/null', program, what, `${times}`];
    const { stderr } = spawnSync('valgrind', args, { encoding: 'utf8', timeout: LIMIT_MS });
    const collected = /Collected : (\d+)/.exec(stderr)?.[1];
    assert.ok(collected !== undefined, stderr);
    return Number(collected);
  };

  it('compiles', () => {
    const cflags = execFileSync(process.execPath, [path('../../../compile.mjs'), '--cflags'], {
      encoding: 'utf8',
    });
    const link = ['-no-pie', '-Wl,--gc-sections', '-Wl,-z,lazy'];
    // Node's functions that the script does not call are missing.
    const missing = ['-ffunction-sections', '-Wl,--unresolved-symbols=ignore-all'];
    const args = ['-O2', ...cflags.trim().split('\n'), ...link, ...missing, '-o', program];
    execFileSync('gcc', [...args, path('native.c')], { stdio: 'pipe' });
    const version = execFileSync('gcc', ['-dumpversion'], { encoding: 'utf8' });
    if (Number.parseInt(version, 10) !== COMPILER) tolerance = FOREIGN_TOLERANCE;
  });

  for (const what of Object.keys(INSTRUCTIONS) as (keyof typeof INSTRUCTIONS)[])
    it(what, () => {
      const found = (counted(what, 2 * TIMES) - counted(what, TIMES)) / TIMES / EACH[what];
      assertWithin(`${what}, instructions`, found, INSTRUCTIONS[what], { tolerance });
    });
});
