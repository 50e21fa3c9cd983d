/** Compiles the searches of the addon's parts, with the address and undefined-behaviour sanitizers. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Parts of the addon that have a search beside this file. */
export const PARTS = ['udp'] as const;
export type Part = (typeof PARTS)[number];

const path = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
const FLAGS = [
  ...['-g', '-O1', '-fno-sanitize-recover=undefined', '-no-pie', '-ffunction-sections'],
  // Node's functions that a search does not call are missing.
  ...['-Wl,--gc-sections', '-Wl,-z,lazy', '-Wl,--unresolved-symbols=ignore-all'],
];

/** The compiler flags of every C file of the addons; undefined without Node's headers. */
const ADDON_FLAGS = (() => {
  const args = [path('../../../compile.mjs'), '--cflags'];
  const { status, stdout } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  return status === 0 ? stdout.trim().split('\n') : undefined;
})();

export const hasHeaders = ADDON_FLAGS !== undefined;

/** Compiles `part` with libFuzzer (clang), or with `replay.c`. Throws with the compiler's message. */
export function compile(part: Part, compiler: 'clang' | 'cc', output: string): void {
  const isSearch = compiler === 'clang';
  const sanitizers = `-fsanitize=${isSearch ? 'fuzzer,' : ''}address,undefined`;
  const sources = [`${part}.c`, ...(isSearch ? [] : ['replay.c'])].map(path);
  const args = [...(ADDON_FLAGS ?? []), ...FLAGS, sanitizers, '-o', output, ...sources];
  const { status, stderr, error } = spawnSync(compiler, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${compiler} ${part}.c: ${error?.message ?? stderr}`);
}
