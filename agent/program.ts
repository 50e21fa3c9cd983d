/**
 * Runs a program of the bundle with the code that V8 compiled when the bundle was built: compiling it again in every start
 * would take most of the start (docs/decisions/040-start.md).
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Script } from 'node:vm';

/** The file of a program is one function, which gets what a module of Node has. */
type Program = (require: NodeJS.Require, module: { exports: object }, path: string) => void;

/** The code of `program.js` is in `program.js.code`. */
export const CODE_SUFFIX = '.code';

/**
 * The exports of the program in the file `path`. Without its code, or if V8 refuses it because it is another build of V8 or
 * has other flags, the program is compiled: the start then takes longer.
 */
export function loadProgram(path: string): object {
  return runScript(scriptOf(path, codeOf(path)), path);
}

/** The program, compiled with its code if there is any; `cachedDataRejected` tells whether V8 refused that. */
export function scriptOf(path: string, code: Buffer | undefined): Script {
  const options = code === undefined ? {} : { cachedData: code };
  // One byte is one character: esbuild escapes all others.
  return new Script(readFileSync(path, 'latin1'), { filename: path, ...options });
}

/** Runs the program once; returns its exports. */
export function runScript(script: Script, path: string): object {
  const module = { exports: {} };
  (script.runInThisContext() as Program)(createRequire(path), module, path);
  return module.exports;
}

/** The code beside the program in the file `path`. */
export function codeOf(path: string): Buffer | undefined {
  try {
    return readFileSync(path + CODE_SUFFIX);
  } catch {
    return undefined;
  }
}
