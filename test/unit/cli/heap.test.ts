import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { heapFlags, isServing } from '../../../agent/cli/heap.ts';
import { endProcess } from '../../support/end-process.ts';

const MIB = 2 ** 20;
const MAIN = fileURLToPath(new URL('../../../dist/agent/main.js', import.meta.url));

describe('heapFlags', () => {
  it('reserve room for the index of the cache', () => {
    assert.deepEqual(heapFlags(32 * MIB, undefined), [
      '--max-old-space-size=280',
      '--max-semi-space-size=4',
      '--v8-pool-size=1',
    ]);
  });

  it('stay within a share of the memory limit', () => {
    assert.equal(heapFlags(48 * MIB, 192 * MIB)[0], '--max-old-space-size=96');
  });

  it('limit the young generation where memory is short', () => {
    assert.equal(heapFlags(32 * MIB, 256 * MIB)[1], '--max-semi-space-size=4');
    assert.equal(heapFlags(32 * MIB, 192 * MIB)[1], '--max-semi-space-size=2');
  });
});

describe('setRunningFlags', () => {
  const child = fileURLToPath(new URL('heap-child.ts', import.meta.url));
  const largest = (...args: string[]): number => {
    // One thread: how far V8 has marked depends on nothing else that runs.
    const flags = ['--single-threaded', '--max-semi-space-size=1'];
    return Number(execFileSync(process.execPath, [...flags, child, ...args], { encoding: 'utf8' }));
  };

  it('keeps the young generation at its two semi-spaces', () => {
    assert.equal(largest('together'), 2 * MIB);
  });

  it('is necessary: without it the young generation grows while V8 marks', () => {
    assert.ok(largest() > 8 * MIB);
  });
});

describe('isServing', () => {
  const lines: readonly (readonly [string, boolean])[] = [
    ['', true],
    ['agent -conf x', true],
    ['-localip 169.254.20.10', true],
    ['--conf=x', true],
    ['--help', false],
    ['-version', false],
    ['-plugins', false],
    ['init --cleanup', false],
    ['check Corefile', false],
  ];
  for (const [line, expected] of lines) {
    it(`${line || '(nothing)'}: ${expected}`, () => {
      assert.equal(isServing(line.split(' ').filter(Boolean)), expected);
    });
  }
});

describe('a process that serves', () => {
  it('restarts itself with the flags for its memory limit, and only once', async () => {
    const conf = fileURLToPath(new URL('heap.corefile', import.meta.url));
    const args = [MAIN, 'agent', '-conf', conf, '-memory', '8Mi'];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      const [line] = (await once(child.stdout, 'data')) as [Buffer];
      assert.match(line.toString(), /"cacheBytes":8388608|"msg"/);
      const commandLine = readFileSync(`/proc/${child.pid}/cmdline`, 'latin1').split('\0');
      const flags = commandLine.slice(1, commandLine.indexOf(MAIN));
      assert.deepEqual(flags, heapFlags(8 * MIB, undefined));
      const variables = readFileSync(`/proc/${child.pid}/environ`, 'latin1').split('\0');
      assert.ok(variables.includes('MALLOC_ARENA_MAX=1'));
      assert.equal(readFileSync(`/proc/${child.pid}/comm`, 'latin1'), 'nodens-agent\n');
    } finally {
      await endProcess(child);
    }
  });
});
