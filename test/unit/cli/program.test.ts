/** The compiled code beside each program of the bundle: V8 takes it with the flags of a start, and a start works without it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { heapFlags } from '../../../agent/cli/heap.ts';
import { codeOf, writeCode } from '../../../agent/program.ts';

const MIB = 2 ** 20;
const DIST = fileURLToPath(new URL('../../../dist', import.meta.url));

/** Plain JavaScript: Node reads TypeScript only with a compiler, which init has not. */
const IS_REJECTED = `
  const { readFileSync } = require('node:fs');
  const path = process.argv[1];
  const cachedData = readFileSync(path + '.code').subarray(0, -4);
  const script = new (require('node:vm').Script)(readFileSync(path, 'latin1'), { filename: path, cachedData });
  console.log(script.cachedDataRejected);`;

const node = (...args: string[]): string =>
  execFileSync(process.execPath, args, { encoding: 'utf8' });

function isRejected(flags: readonly string[], program: string): boolean {
  return JSON.parse(node(...flags, '-e', IS_REJECTED, join(DIST, program))) as boolean;
}

describe('the compiled code', () => {
  it('of the agent is taken under any memory limit', () => {
    for (const limit of [undefined, 96 * MIB, 4_096 * MIB])
      assert.equal(isRejected(heapFlags(32 * MIB, limit), 'agent/program.js'), false);
  });

  it('is refused with a flag that changes what V8 compiles', () => {
    assert.equal(isRejected(['--no-opt'], 'agent/program.js'), true);
  });
});

describe('damaged code', () => {
  const folder = mkdtempSync(join(tmpdir(), 'nodens-code-'));
  after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'program.js');
  const code = Buffer.from('compiled');

  it('is not handed to V8: one bit, a part, or nothing of it', () => {
    writeCode(path, code);
    const whole = readFileSync(`${path}.code`);
    assert.deepEqual(codeOf(path), code);
    for (let bit = 0; bit < whole.length * 8; bit++) {
      const file = Buffer.from(whole);
      file[bit >> 3] = (file[bit >> 3] as number) ^ (1 << (bit & 7));
      writeFileSync(`${path}.code`, file);
      assert.equal(codeOf(path), undefined, `bit ${bit}`);
    }
    for (let length = 0; length < whole.length; length++) {
      writeFileSync(`${path}.code`, whole.subarray(0, length));
      assert.equal(codeOf(path), undefined, `${length} bytes`);
    }
    rmSync(`${path}.code`);
    assert.equal(codeOf(path), undefined);
  });
});

describe('a program', () => {
  it('runs without its code, and with code that V8 refuses', () => {
    const dist = mkdtempSync(join(tmpdir(), 'nodens-program-'));
    try {
      cpSync(DIST, dist, { recursive: true });
      const main = join(dist, 'agent/main.js');
      assert.match(node('--no-opt', main, '--version'), /^nodens /);
      for (const path of globSync('**/*.code', { cwd: dist })) rmSync(join(dist, path));
      assert.match(node(main, '--version'), /^nodens /);
    } finally {
      rmSync(dist, { recursive: true });
    }
  });
});
