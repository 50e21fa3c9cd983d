import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AGENT_EVENTS } from '../../../../agent/base/events/table.ts';
import {
  DEDUPLICATION_WINDOW_MS,
  MAX_EVENTS,
} from '../../../../agent/observe/log/deduplication.ts';
import { createLogger } from '../../../../agent/observe/log/log.ts';
import { DEDUPLICATE_BY } from '../../../../agent/query/services/log.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

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

  it('adds the remedy of the table to a warning or an error that has none', () => {
    const { lines, log } = setUp();
    log.warn({ event: 'pid-file' }, 'a');
    log.warn({ event: 'pid-file', remedy: 'own' }, 'b');
    log.info({ event: 'pid-file' }, 'c');
    const remedies = lines.map((line) => line.remedy);
    assert.deepEqual(remedies, [AGENT_EVENTS['pid-file'].remedy, 'own', undefined]);
  });

  it('omits lines below its level until the level changes', () => {
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

describe('deduplication', () => {
  it('writes the first at once and the repeats of a window as one line', async () => {
    const { lines, clock, log } = setUp();
    for (let i = 0; i < 5; i++) log.error({ event: 'refresh-failed', try: i }, 'no answer');
    assert.equal(lines.length, 1);
    await clock.advance(DEDUPLICATION_WINDOW_MS);
    assert.deepEqual(
      lines.map((line) => [line.try, line.repeated]),
      [
        [0, undefined],
        [4, 4],
      ],
    );
    assert.equal(clock.pendingTimers, 0);
  });

  it('writes when the last repeat happened: other lines may have been logged since', async () => {
    const { lines, clock, log } = setUp();
    log.warn({ event: 'watch-failed' }, 'down');
    await clock.advance(1_000);
    log.warn({ event: 'watch-failed' }, 'down');
    const lastTime = new Date(clock.wallMs()).toISOString();
    await clock.advance(DEDUPLICATION_WINDOW_MS);
    assert.deepEqual(
      lines.map((line) => [line.msg, line.lastTime]),
      [
        ['down', undefined],
        [`down (repeated, last at ${lastTime})`, lastTime],
      ],
    );
  });

  it('writes no summary for an event that did not repeat', async () => {
    const { lines, clock, log } = setUp();
    log.warn({ event: 'watch-failed' }, 'once');
    await clock.advance(DEDUPLICATION_WINDOW_MS);
    log.warn({ event: 'watch-failed' }, 'once');
    assert.equal(lines.length, 2);
    assert.equal(lines[1]?.repeated, undefined);
  });

  it('separates lines by level and message', () => {
    const { lines, log } = setUp();
    log.warn({ event: 'watch-failed' }, 'x');
    log.error({ event: 'watch-failed' }, 'x');
    log.error({ event: 'watch-failed' }, 'y');
    log.error({ event: 'watch-failed' }, 'y');
    assert.equal(lines.length, 3);
  });

  it('deduplicates all lines of an event, where the table says so', () => {
    const { lines, log } = setUp();
    log.error({ event: 'fault' }, 'one');
    log.error({ event: 'fault' }, 'two');
    log.error({ event: 'cluster-domain' }, 'one');
    assert.equal(lines.length, 2);
  });

  it('deduplicates by a key that is not written, where the call gives one', () => {
    const { lines, log } = setUp();
    log.error({ event: 'fault', [DEDUPLICATE_BY]: 'a of x' }, 'one');
    log.error({ event: 'fault', [DEDUPLICATE_BY]: 'a of x' }, 'two');
    log.error({ event: 'fault', [DEDUPLICATE_BY]: 'a of y' }, 'one');
    assert.equal(lines.length, 2);
    assert.deepEqual(Object.keys(lines[0] ?? {}), ['level', 'time', 'event', 'remedy', 'msg']);
  });

  it('deduplicates only warnings and errors', () => {
    const { lines, log } = setUp('debug');
    for (let i = 0; i < 3; i++) log.info({}, 'i');
    for (let i = 0; i < 3; i++) log.debug({}, 'd');
    assert.equal(lines.length, 6);
  });

  it('keeps a bounded number of events and ends the window of the oldest early', () => {
    const { lines, clock, log } = setUp();
    log.error({ event: 'tcp-accept' }, 'first');
    log.error({ event: 'tcp-accept' }, 'first');
    for (let i = 0; i < MAX_EVENTS + 50; i++) log.error({ event: 'tcp-accept' }, `m${i}`);
    assert.equal(clock.pendingTimers, MAX_EVENTS);
    assert.equal(lines.filter((line) => line.repeated === 1).length, 1);
  });

  it('writes pending summaries when closed', () => {
    const { lines, clock, log } = setUp();
    log.error({ event: 'refresh-failed' }, 'a');
    log.error({ event: 'refresh-failed' }, 'a');
    log.close();
    assert.equal(lines.at(-1)?.repeated, 1);
    assert.equal(clock.pendingTimers, 0);
  });
});
