import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { GaveWayError } from '../../../agent/base/errors.ts';
import {
  InflightQueries,
  type InflightQuery,
  type ResultHandler,
  WAITER_BYTES,
} from '../../../agent/cache/single-flight.ts';
import { RCODE } from '../../../agent/dns/iana.ts';
import type { Answer } from '../../../agent/query/answer.ts';
import { gaveWayAnswer } from '../../../agent/query/error-answer.ts';
import type { Counter } from '../../../agent/query/services/metrics.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { ledgerWith } from '../../support/ledger.ts';
import { addressRecord, Bench, IMMEDIATE, lastByte, VERIFY } from './harness.ts';

const ANSWER = {} as Answer;
const gaveWay = { value: 0 };

/** A query in flight that the test completes. */
function begun(inflightQueries: InflightQueries, key: string, clientKey = 'first') {
  const { promise, resolve } = Promise.withResolvers<Answer>();
  const handler: ResultHandler = {
    onAnswer: (answer) => ({ answer, source: 'chain' }),
    onError: () => ({ answer: ANSWER, source: 'last-good' }),
  };
  const flight = inflightQueries.start(key, clientKey, promise, handler);
  return { flight, complete: () => resolve(ANSWER) };
}

function joined(flight: InflightQuery, key: string, counter: Counter): Promise<Answer> {
  const waiter = flight.join(key, counter);
  assert.ok(waiter !== undefined);
  return waiter.answer;
}

describe('clients that wait for upstream queries of other clients', () => {
  it('count against their shares until those end, and the client with the most is limited', async () => {
    const ledger = ledgerWith(3 * WAITER_BYTES);
    const inflightQueries = new InflightQueries(new FakeClock(), ledger);
    const [one, two] = [begun(inflightQueries, 'one'), begun(inflightQueries, 'two')];
    const counted = { value: 0 };
    const many = [one, one, two].map(({ flight }) => joined(flight, 'many', counted));
    assert.equal(two.flight.join('many', counted), undefined);
    const few = joined(two.flight, 'few', counted);
    await assert.rejects(many[0] as Promise<Answer>, GaveWayError);
    assert.equal(counted.value, 2);
    one.complete();
    two.complete();
    assert.deepEqual(await Promise.all([...many.slice(1), few]), [ANSWER, ANSWER, ANSWER]);
    assert.equal(ledger.usedBytes, 0);
    inflightQueries.close();
  });

  it('free their share when the query is abandoned, and when it ends late', async () => {
    const clock = new FakeClock();
    const ledger = ledgerWith();
    const inflightQueries = new InflightQueries(clock, ledger);
    const late = begun(inflightQueries, 'late');
    const answer = joined(late.flight, 'a', gaveWay);
    await clock.advance(10_000);
    assert.equal(await answer, ANSWER);
    assert.equal(ledger.usedBytes, 0);
    late.complete();
    await settle();
    assert.equal(ledger.usedBytes, 0);
    inflightQueries.close();
  });
});

describe('when the query of the first client is dropped', () => {
  /** Rejects the first query with a `GaveWayError` and answers later ones. */
  function yielding(bench: Bench) {
    const { promise, reject } = Promise.withResolvers<Answer>();
    bench.upstream = () => promise;
    return (): void => {
      bench.upstream = (query) =>
        Promise.resolve(bench.reply(query, { answer: [addressRecord(60, 7)] }));
      reject(new GaveWayError());
    };
  }

  it('another client that waits for the same name sends its own upstream query', async () => {
    const bench = new Bench();
    const giveWay = yielding(bench);
    const first = bench.waiting({ behalfOf: 'flood' });
    const same = bench.waiting({ behalfOf: 'flood' });
    const others = [bench.waiting({ behalfOf: 'quiet' }), bench.waiting({ behalfOf: 'calm' })];
    giveWay();
    await assert.rejects(first, GaveWayError);
    await assert.rejects(same, GaveWayError);
    for (const answer of await Promise.all(others)) assert.equal(lastByte(answer), 7);
    assert.equal(bench.asked.length, 2);
  });

  it('the failure is not remembered: it says nothing about the name', async () => {
    const bench = new Bench();
    const giveWay = yielding(bench);
    const first = bench.waiting({ behalfOf: 'flood' });
    giveWay();
    await assert.rejects(first, GaveWayError);
    assert.equal(lastByte(await bench.ask()), 7);
  });

  it('a stale answer is sent where there is one', async () => {
    const bench = new Bench({ serveStale: { ...IMMEDIATE, mode: 'verify', budgetMs: 200 } });
    bench.upstream = (query) => bench.reply(query, { answer: [addressRecord(5, 3)] });
    await bench.ask();
    await bench.services.clock.advance(6_000);
    const giveWay = yielding(bench);
    const first = bench.waiting({ behalfOf: 'flood' });
    giveWay();
    assert.equal(lastByte(await first), 3);
  });

  const thrown = (): never => {
    throw new GaveWayError();
  };
  for (const [how, refused] of [
    ['an error', thrown],
    ['an answer', gaveWayAnswer],
  ] as const) {
    it(`only this client gets the old answer of an expired name, and the others ask upstream: ${how}`, async () => {
      const bench = new Bench({ serveStale: VERIFY });
      const { clock } = bench.services;
      bench.upstream = (query) => bench.reply(query, { answer: [addressRecord(5, 3)] });
      await bench.ask();
      await clock.advance(6_000);
      bench.upstream = (query) => {
        if (query.clientKey === 'flood') return refused(query);
        return Promise.resolve(bench.reply(query, { answer: [addressRecord(5, 9)] }));
      };
      assert.equal(lastByte(await bench.ask({ behalfOf: 'flood' })), 3);
      assert.equal(lastByte(await bench.ask({ behalfOf: 'quiet' })), 9);
    });
  }

  it('a refusal is not stored', async () => {
    const bench = new Bench();
    bench.upstream = gaveWayAnswer;
    assert.equal((await bench.ask({ behalfOf: 'flood' })).rcode, RCODE.SERVFAIL);
    bench.upstream = (query) => bench.reply(query, { answer: [addressRecord(60, 7)] });
    assert.equal(lastByte(await bench.ask({ behalfOf: 'flood' })), 7);
  });

  it('a client that waits for the same expired name sends its own upstream query', async () => {
    const bench = new Bench({ serveStale: VERIFY });
    bench.upstream = (query) => bench.reply(query, { answer: [addressRecord(5, 3)] });
    await bench.ask();
    await bench.services.clock.advance(6_000);
    const giveWay = yielding(bench);
    const first = bench.ask({ behalfOf: 'flood' });
    const guest = bench.ask({ behalfOf: 'quiet' });
    giveWay();
    assert.deepEqual([lastByte(await first), lastByte(await guest)], [3, 7]);
  });
});
