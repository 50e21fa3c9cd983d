/** Compiles what a run needs of C. */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const BUILD = fileURLToPath(new URL('../../../build/bench', import.meta.url));

/** The program of nodens, as the image has it. */
export const MAIN = fileURLToPath(new URL('../../../dist/agent/main.js', import.meta.url));

/** Compiles `name`.c of this folder; returns the program's path. */
export function compile(name: string): string {
  return compileFile(name, `${name}.c`, []);
}

let launcher: string | undefined;

/** The entry point of the image, for this Node and this bundle. Compiled once. */
export function launcherProgram(): string {
  launcher ??= compileLauncher();
  return launcher;
}

function compileLauncher(): string {
  const paths = { NODENS_NODE: process.execPath, NODENS_MAIN: MAIN };
  const macros = Object.entries(paths).map(([name, path]) => `-D${name}="${path}"`);
  return compileFile('nodens', '../../../native/launcher/nodens-launch.c', macros);
}

function compileFile(name: string, path: string, macros: readonly string[]): string {
  mkdirSync(BUILD, { recursive: true });
  const source = fileURLToPath(new URL(path, import.meta.url));
  const program = join(BUILD, name);
  const flags = ['-O2', '-Wall', '-Wextra', ...macros];
  execFileSync(process.env.CC ?? 'cc', [...flags, '-o', program, source]);
  return program;
}
