import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sleep, systemClock } from '../../../agent/base/clock.ts';
import { FakeClock } from '../../support/fake-clock.ts';

describe('the machine clock', () => {
  it('never goes back', () => {
    const first = systemClock.nowMs();
    assert.ok(systemClock.nowMs() >= first);
  });

  it('cancels timers, more than once', () => {
    const fail = (): void => assert.fail('a cancelled timer ran');
    for (const timer of [systemClock.after(0, fail), systemClock.every(1, fail)]) {
      timer.cancel();
      timer.cancel();
    }
  });
});

describe('sleep', () => {
  it('ends when the clock says so', async () => {
    const clock = new FakeClock();
    let isAwake = false;
    const slept = sleep(clock, 100).then(() => {
      isAwake = true;
    });
    await clock.advance(99);
    assert.ok(!isAwake);
    await clock.advance(1);
    assert.ok(isAwake);
    await slept;
  });
});
