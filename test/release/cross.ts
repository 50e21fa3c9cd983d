/** Compiles all C for the other architecture of the image. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = new URL('../../', import.meta.url).pathname;
const COMPILER = 'aarch64-linux-gnu-gcc';
const STRICT = ['-O2', '-Wall', '-Wextra', '-Werror'];
/** `e_machine` of ELF for arm64, at byte 18. */
const EM_AARCH64 = 183;

/** Throws where a file does not compile without a warning. Returns lines about what was made in `folder`. */
export function checkCross(folder: string): string[] {
  execFileSync(process.execPath, [join(ROOT, 'compile.mjs'), folder, ...STRICT], {
    env: { ...process.env, CC: COMPILER },
    stdio: 'inherit',
  });
  const launcher = join(folder, 'nodens-launch');
  const source = join(ROOT, 'native/launcher/nodens-launch.c');
  execFileSync(COMPILER, [...STRICT, '-o', launcher, source], { stdio: 'inherit' });
  return ['agent.node', 'init.node', 'nodens-launch'].map((name) => {
    const bytes = readFileSync(join(folder, name));
    assert.equal(bytes.readUInt16LE(18), EM_AARCH64, name);
    return `${name} for arm64: ${bytes.length} bytes`;
  });
}
