/**
 * Runs a program of the bundle with the code that V8 compiled when the bundle was built: compiling it again in every start
 * would take most of the start (docs/decisions/040-start.md).
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Script } from 'node:vm';
import { crc32 } from 'node:zlib';

/** The file of a program is one function, which gets what a module of Node has. */
type Program = (require: NodeJS.Require, module: { exports: object }, path: string) => void;

/** The code of `program.js` is in `program.js.code`, with its CRC-32 at the end: V8 takes damaged code, and crashes. */
const CODE_SUFFIX = '.code';
const CHECKSUM_BYTES = 4;

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

/** The code beside the program in the file `path`; undefined if there is none, or if it is damaged. */
export function codeOf(path: string): Buffer | undefined {
  let file: Buffer;
  try {
    file = readFileSync(path + CODE_SUFFIX);
  } catch {
    return undefined;
  }
  const end = file.length - CHECKSUM_BYTES;
  if (end <= 0) return undefined;
  const code = file.subarray(0, end);
  return crc32(code) === file.readUInt32LE(end) ? code : undefined;
}

/** Writes `code` beside the program in the file `path`. */
export function writeCode(path: string, code: Buffer): void {
  const checksum = Buffer.alloc(CHECKSUM_BYTES);
  checksum.writeUInt32LE(crc32(code));
  writeFileSync(path + CODE_SUFFIX, Buffer.concat([code, checksum]));
}
