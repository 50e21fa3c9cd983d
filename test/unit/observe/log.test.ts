import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FOLD_WINDOW_MS, MAX_EVENTS } from '../../../agent/observe/fold.ts';
import { createLogger } from '../../../agent/observe/log.ts';
import { FOLD_BY } from '../../../agent/query/services.ts';
import { FakeClock } from '../../support/fake-clock.ts';

function setUp(level: 'debug' | 'info' = 'info') {
  const lines: Record<string, unknown>[] = [];
  const clock = new FakeClock();
  const writeLine = (line: string): void => {
    assert.ok(!line.includes('\n'));
    lines.push(JSON.parse(line) as Record<string, unknown>);
  };
  const log = createLogger({ level, writeLine, clock });
  return { lines, clock, log };
}

describe('createLogger', () => {
  it('writes one JSON object a line, stamped by the clock', () => {
    const { lines, clock, log } = setUp();
    log.info({ zone: 'a\nb' }, 'hello');
    assert.deepEqual(lines, [
      {
        level: 'info',
        time: new Date(clock.wallMs()).toISOString(),
        zone: 'a\nb',
        msg: 'hello',
      },
    ]);
  });

  it('leaves out what is below its level until that changes', () => {
    const { lines, log } = setUp();
    log.debug({}, 'no');
    log.setLevel('debug');
    log.debug({}, 'yes');
    assert.deepEqual(
      lines.map((line) => line.msg),
      ['yes'],
    );
  });
});

describe('folding', () => {
  it('writes the first at once and the repeats of a window as one line', async () => {
    const { lines, clock, log } = setUp();
    for (let i = 0; i < 5; i++) log.error({ try: i }, 'no answer');
    assert.equal(lines.length, 1);
    await clock.advance(FOLD_WINDOW_MS);
    assert.deepEqual(
      lines.map((line) => [line.try, line.repeated]),
      [
        [0, undefined],
        [4, 4],
      ],
    );
    assert.equal(clock.pendingTimers, 0);
  });

  it('says of what it held back when that happened last: something else may have been logged since', async () => {
    const { lines, clock, log } = setUp();
    log.warn({}, 'down');
    await clock.advance(1_000);
    log.warn({}, 'down');
    const lastTime = new Date(clock.wallMs()).toISOString();
    await clock.advance(FOLD_WINDOW_MS);
    assert.deepEqual(
      lines.map((line) => [line.msg, line.lastTime]),
      [
        ['down', undefined],
        [`down (repeated, last at ${lastTime})`, lastTime],
      ],
    );
  });

  it('writes nothing more for an event that did not repeat', async () => {
    const { lines, clock, log } = setUp();
    log.warn({}, 'once');
    await clock.advance(FOLD_WINDOW_MS);
    log.warn({}, 'once');
    assert.equal(lines.length, 2);
    assert.equal(lines[1]?.repeated, undefined);
  });

  it('tells events apart by level and by the field `event`, else by message', () => {
    const { lines, log } = setUp();
    log.warn({}, 'x');
    log.error({}, 'x');
    log.error({ event: 'a' }, 'one');
    log.error({ event: 'a' }, 'two');
    log.error({ event: 'b' }, 'one');
    assert.equal(lines.length, 4);
  });

  it('folds by what is never written, where that is given', () => {
    const { lines, log } = setUp();
    log.error({ event: 'a', [FOLD_BY]: 'a of x' }, 'one');
    log.error({ event: 'a', [FOLD_BY]: 'a of x' }, 'two');
    log.error({ event: 'a', [FOLD_BY]: 'a of y' }, 'one');
    assert.equal(lines.length, 2);
    assert.deepEqual(Object.keys(lines[0] ?? {}), ['level', 'time', 'event', 'msg']);
  });

  it('never folds what is not a warning', () => {
    const { lines, log } = setUp('debug');
    for (let i = 0; i < 3; i++) log.info({}, 'i');
    for (let i = 0; i < 3; i++) log.debug({}, 'd');
    assert.equal(lines.length, 6);
  });

  it('remembers a bounded number of events and ends the oldest early', () => {
    const { lines, clock, log } = setUp();
    log.error({ event: 'first' }, 'm');
    log.error({ event: 'first' }, 'm');
    for (let i = 0; i < MAX_EVENTS + 50; i++) log.error({ event: `e${i}` }, 'm');
    assert.equal(clock.pendingTimers, MAX_EVENTS);
    assert.equal(lines.filter((line) => line.repeated === 1).length, 1);
  });

  it('writes what it holds back when closed', () => {
    const { lines, clock, log } = setUp();
    log.error({}, 'a');
    log.error({}, 'a');
    log.close();
    assert.equal(lines.at(-1)?.repeated, 1);
    assert.equal(clock.pendingTimers, 0);
  });
});
