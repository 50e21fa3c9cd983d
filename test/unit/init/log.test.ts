import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { INIT_EVENTS } from '../../../agent/base/events/table.ts';
import { makeLog } from '../../../init/log.ts';
import { FakeClock } from '../../support/fake-clock.ts';

describe('log', () => {
  it('has one JSON object per line', () => {
    const lines: string[] = [];
    const clock = new FakeClock();
    makeLog(clock, (line) => lines.push(line)).warn('a\nb', {
      event: 'dummy-link',
      error: 'c',
    });
    assert.deepEqual(
      lines.map((line) => JSON.parse(line)),
      [
        {
          ...{ level: 'warn', time: new Date(clock.wallMs()).toISOString(), event: 'dummy-link' },
          ...{ error: 'c', remedy: INIT_EVENTS['dummy-link'].remedy, msg: 'a\nb' },
        },
      ],
    );
    assert.match(lines[0] ?? '', /^[^\n]*\n$/);
  });
});
