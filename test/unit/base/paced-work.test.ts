import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PacedWork } from '../../../agent/base/paced-work.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';

/** A clock that advances by the cost of each job. */
class WorkClock extends FakeClock {
  workedMs = 0;
  override nowMs(): number {
    return super.nowMs() + this.workedMs;
  }
}

/** Begins a hundred jobs of 0.1 ms. Returns how many are done. */
async function hundredJobs(work: PacedWork, clock: WorkClock): Promise<() => number> {
  let done = 0;
  const job = (): void => {
    clock.workedMs += 0.1;
    done++;
  };
  for (let i = 0; i < 100; i++) void work.run('a', job);
  await settle();
  return () => done;
}

describe('paced work', () => {
  it('runs all jobs in order, and returns results and errors', async () => {
    const work = new PacedWork(new FakeClock());
    const done: number[] = [];
    const results = [1, 2, 3].map((each) =>
      work.run('a', () => {
        done.push(each);
        return each * 10;
      }),
    );
    assert.deepEqual(done, [], 'not before the caller continues');
    assert.deepEqual(await Promise.all(results), [10, 20, 30]);
    assert.deepEqual(done, [1, 2, 3]);
    const broken = work.run('a', () => {
      throw new Error('no');
    });
    await assert.rejects(broken, /no/);
    await assert.rejects(
      work.run('a', () => Promise.reject(new Error('later'))),
      /later/,
    );
    assert.equal(await work.run('a', () => 'goes on'), 'goes on');
  });

  it('gives each key its turn, however many jobs one key has', async () => {
    const work = new PacedWork(new FakeClock());
    const turns: string[] = [];
    const want = (key: string) => work.run(key, () => void turns.push(key));
    await Promise.all([...Array.from({ length: 50 }, () => want('greedy')), want('b'), want('c')]);
    assert.deepEqual(turns.slice(0, 4), ['greedy', 'b', 'c', 'greedy']);
    assert.equal(turns.length, 52);
  });

  it('rests after half a millisecond, four times as long as it has worked', async () => {
    const clock = new WorkClock();
    const work = new PacedWork(clock);
    const done = await hundredJobs(work, clock);
    assert.equal(done(), 5);
    await clock.advance(1.9);
    assert.equal(done(), 5);
    await clock.advance(0.2);
    assert.equal(done(), 10);
    await clock.advance(10);
    // 12 ms of rest: six slices behind the first.
    assert.equal(done(), 35);
  });

  it('rests longer where it is told so', async () => {
    const clock = new WorkClock();
    const work = new PacedWork(clock, 9);
    const done = await hundredJobs(work, clock);
    await clock.advance(4.4);
    assert.equal(done(), 5);
    await clock.advance(0.2);
    assert.equal(done(), 10);
  });

  it('counts one chain of jobs as it counts many jobs', async () => {
    const clock = new WorkClock();
    const work = new PacedWork(clock);
    let done = 0;
    const chain = async (): Promise<void> => {
      for (;;) {
        await work.run('a', () => {
          clock.workedMs += 0.1;
          done++;
        });
      }
    };
    void chain();
    await settle();
    assert.equal(done, 5);
    await clock.advance(2.1);
    assert.equal(done, 10);
  });

  it('rests longer after a job that took longer, and not at all after a pause', async () => {
    const clock = new WorkClock();
    const work = new PacedWork(clock);
    let done = 0;
    const long = (): void => {
      clock.workedMs += 5;
      done++;
    };
    void work.run('a', long);
    void work.run('a', long);
    await settle();
    assert.equal(done, 1);
    await clock.advance(19.9);
    assert.equal(done, 1);
    await clock.advance(0.2);
    assert.equal(done, 2);
    await clock.advance(60);
    await work.run('b', () => void done++);
    assert.equal(done, 3);
    assert.equal(clock.pendingTimers, 0);
  });
});
