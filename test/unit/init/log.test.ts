import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { makeLog } from '../../../init/log.ts';
import { FakeClock } from '../../support/fake-clock.ts';

describe('log', () => {
  it('is one JSON object a line', () => {
    const lines: string[] = [];
    const clock = new FakeClock();
    makeLog(clock, (line) => lines.push(line)).warn('a\nb', { error: 'c' });
    assert.deepEqual(
      lines.map((line) => JSON.parse(line)),
      [{ level: 'warn', time: new Date(clock.wallMs()).toISOString(), error: 'c', msg: 'a\nb' }],
    );
    assert.match(lines[0] ?? '', /^[^\n]*\n$/);
  });
});
