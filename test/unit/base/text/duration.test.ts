import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  formatDuration,
  parseDurationMs,
  parseSecondsOrDurationMs,
} from '../../../../agent/base/text/duration.ts';

describe('durations', () => {
  for (const [text, ms] of [
    ['0', 0],
    ['-0', 0],
    ['30s', 30_000],
    ['1m', 60_000],
    ['1h30m', 5_400_000],
    ['1.5h', 5_400_000],
    ['.5s', 500],
    ['1.s', 1_000],
    ['500ms', 500],
    ['250us', 0.25],
    ['250µs', 0.25],
    ['1000000ns', 1],
    ['1m1m', 120_000],
    ['+5s', 5_000],
    ['-5s', -5_000],
    ['', undefined],
    ['-', undefined],
    ['5', undefined],
    ['s', undefined],
    ['.s', undefined],
    ['5 s', undefined],
    ['5S', undefined],
    ['5s ', undefined],
    ['1d', undefined],
    ['--5s', undefined],
    ['5s-1s', undefined],
    ['1h30', undefined],
    ['1e3s', undefined],
  ] as const) {
    it(`${JSON.stringify(text)}: ${ms ?? 'none'}`, () => {
      const parsed = parseDurationMs(text);
      assert.ok(ms === undefined ? parsed === undefined : Math.abs((parsed ?? 1e9) - ms) < 1e-9);
    });
  }

  it('are parsed the same after one that failed', () => {
    assert.equal(parseDurationMs('1h30'), undefined);
    assert.equal(parseDurationMs('1h'), 3_600_000);
  });

  it('may be a number of seconds where that is the custom', () => {
    assert.deepEqual(['60', '60s', '1m', '0', '1.5', '-60', 'x'].map(parseSecondsOrDurationMs), [
      60_000,
      60_000,
      60_000,
      0,
      1_500,
      undefined,
      undefined,
    ]);
  });

  for (const [ms, text] of [
    [0, '0ms'],
    [250, '250ms'],
    [1_000, '1s'],
    [1_500, '1.5s'],
    [90_000, '1m30s'],
    [3_600_000, '1h'],
    [5_400_000, '1h30m'],
    [3_601_000, '1h1s'],
  ] as const) {
    it(`${ms} ms is written ${text}, which reads back`, () => {
      assert.equal(formatDuration(ms), text);
      assert.equal(parseDurationMs(text), ms);
    });
  }
});
