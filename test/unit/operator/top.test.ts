/** The tables of `top` are bounded, exist only while it runs, and cost little however many queries come. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RCODE } from '../../../agent/dns/iana.ts';
import type { StatusLine, TopLine } from '../../../agent/operator/protocol.ts';
import type { Status } from '../../../agent/operator/status.ts';
import { HeavyTable } from '../../../agent/operator/watch/heavy-table.ts';
import { QueryWatch, SeenQuery } from '../../../agent/operator/watch/query-watch.ts';
import { topCommand } from '../../../agent/operator/watch/top-command.ts';
import { errorAnswer } from '../../../agent/query/error-answer.ts';
import type { QueryObserver } from '../../../agent/server/dispatch.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { FakeOutput } from '../../support/operator-output.ts';
import { queryFor } from '../cache/harness.ts';

function seen(rcode: number): SeenQuery {
  const query = queryFor({}, 0);
  return new SeenQuery(query, errorAnswer(query, rcode), undefined, false, 1);
}

describe('a heavy table', () => {
  it('counts by key, heaviest first, and begins anew', () => {
    const table = new HeavyTable();
    table.add('a', seen(RCODE.NXDOMAIN), 1);
    for (const rcode of [RCODE.NOERROR, RCODE.SERVFAIL]) table.add('b', seen(rcode), 10);
    assert.deepEqual(table.take(5), [
      { key: 'b', queries: 20, hits: 0, nxdomain: 0, failures: 10 },
      { key: 'a', queries: 1, hits: 0, nxdomain: 1, failures: 0 },
    ]);
    assert.deepEqual(table.take(5), []);
  });

  it('keeps the heavy keys in a flood of others', () => {
    const table = new HeavyTable();
    for (let i = 0; i < 20_000; i++) {
      table.add(`flood ${i}`, seen(RCODE.NOERROR), 1);
      if (i % 100 === 0) table.add('heavy', seen(RCODE.NOERROR), 1);
    }
    const all = table.take(100_000);
    assert.ok(all.length <= 1_024);
    assert.deepEqual([all[0]?.key, all[0]?.queries], ['heavy', 200]);
  });
});

const POD = { name: 'shop/web-0', addresses: [], isHostNetwork: false, search: undefined };
const LINES = [
  '{"level":"warn","time":"2026-01-01T00:00:00Z","event":"upstream-down","msg":"down"}',
  '{"level":"info","cut …',
];

describe('top', () => {
  function started(out: FakeOutput) {
    const clock = new FakeClock();
    const dispatcher: { observer: QueryObserver | undefined } = { observer: undefined };
    const queries = new QueryWatch(dispatcher, clock);
    const status = {
      line: () => Promise.resolve({ line: 'status' } as StatusLine),
    } as Status;
    const pods = { at: () => POD };
    const recentLines = (): string[] => LINES;
    const parts = { clock, queries, status, pods, recentLines };
    const work = topCommand(parts, { command: 'top', intervalMs: 1_000 }, out);
    const ask = (): void => {
      const query = queryFor({}, clock.nowMs());
      // As a client's query.
      query.isInternal = false;
      void dispatcher.observer?.follow(query, () => errorAnswer(query, RCODE.NOERROR));
    };
    return { clock, dispatcher, work, ask };
  }
  const pictures = ({ lines }: FakeOutput): TopLine[] => lines as TopLine[];

  it('leaves nothing behind for each picture, and no timer when the command has gone', async (context) => {
    const out = new FakeOutput();
    const then = context.mock.method(out.departed, 'then');
    const { clock, work } = started(out);
    await clock.advance(20_000);
    assert.ok(pictures(out).length >= 19);
    assert.equal(then.mock.callCount(), 1);
    out.depart();
    await work;
    assert.equal(clock.pendingTimers, 0);
  });

  it('names the pods of clients, and has the last events', async () => {
    const out = new FakeOutput();
    const { clock, ask, work } = started(out);
    ask();
    await clock.advance(1_000);
    const [picture] = pictures(out);
    assert.deepEqual(
      picture?.clients.map(({ pod }) => pod),
      ['shop/web-0'],
    );
    const [event, ...others] = picture?.events ?? [];
    assert.deepEqual(
      [event?.level, event?.event, event?.message],
      ['warn', 'upstream-down', 'down'],
    );
    assert.deepEqual(others, [], 'a line that was cut is left out');
    out.depart();
    await work;
  });

  it('samples more thinly where more queries come, and weighs what it sees', async () => {
    const out = new FakeOutput();
    const { clock, ask, work } = started(out);
    for (const queries of [1_000, 20_000, 20_000, 1_000, 1_000]) {
      for (let i = 0; i < queries; i++) ask();
      await clock.advance(1_000);
    }
    out.depart();
    await work;
    const [calm, first, second, after, ...last] = pictures(out).map(({ sampledOf, names }) => ({
      sampledOf,
      queries: names[0]?.queries ?? 0,
    }));
    assert.deepEqual(calm, { sampledOf: 1, queries: 1_000 });
    assert.equal(first?.sampledOf, 64, 'thinner within the picture');
    assert.ok(Math.abs((first?.queries ?? 0) - 20_000) <= 64, `${first?.queries} of 20,000`);
    assert.deepEqual(second, { sampledOf: 20, queries: 20_000 }, 'the burst fits in a second');
    assert.deepEqual(after, { sampledOf: 20, queries: 1_000 });
    assert.deepEqual(last, [{ sampledOf: 1, queries: 1_000 }]);
  });

  it('looks at few queries in its first picture too, however many come', async () => {
    const out = new FakeOutput();
    const { clock, dispatcher, work } = started(out);
    let looks = 0;
    const query = queryFor({}, 0);
    query.isInternal = false;
    // The name is read for a query that is looked at.
    Object.defineProperty(query, 'nameText', { get: () => `n${looks++}.test.` });
    for (let ms = 0; ms < 1_000; ms++) {
      query.arrivedMs = clock.nowMs();
      for (let i = 0; i < 50; i++)
        void dispatcher.observer?.follow(query, () => errorAnswer(query, RCODE.NOERROR));
      await clock.advance(1);
    }
    out.depart();
    await work;
    assert.ok(looks > 1_000 && looks < 4_000, `looked at ${looks} of 50,000 queries`);
  });

  it('drops a picture that is not read, and leaves nothing behind', async () => {
    const out = new FakeOutput(1);
    const { clock, dispatcher, work } = started(out);
    await clock.advance(5_000);
    assert.equal(out.lines.length, 1);
    out.depart();
    await settle();
    await clock.advance(1_000);
    await work;
    assert.equal(dispatcher.observer, undefined);
    assert.equal(clock.pendingTimers, 0);
  });
});
