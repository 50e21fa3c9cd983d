import { strict as assert } from 'node:assert';
import { it } from 'node:test';
import { RCODE } from '../../../agent/dns/iana.ts';
import type { Answer } from '../../../agent/query/answer.ts';
import { errorAnswer } from '../../../agent/query/error-answer.ts';
import type { Handler } from '../../../agent/query/handler.ts';
import { clientAt } from '../../../agent/query/query.ts';
import { DROPPED } from '../../../agent/server/respond.ts';
import { settle } from '../../support/fake-clock.ts';
import { familyOf } from '../../support/metrics/families.ts';
import { answerTo, type Fixture, fixtureFor, queryWire } from '../../support/server/fixture.ts';

const CLIENT = clientAt('10.244.0.7', 40_053);

/** Number of answers and the sum of their seconds, by the label `served`. */
function durations({ metrics }: Fixture): Record<string, [count: number, seconds: number]> {
  const samples = familyOf(metrics, 'nodens_answer_duration_seconds')?.values ?? [];
  const sampleOf = (suffix: string, served: string): number =>
    samples.find(
      ({ metricName, labels }) => metricName?.endsWith(suffix) && labels.served === served,
    )?.value ?? 0;
  const kinds = new Set(samples.map(({ labels }) => labels.served as string));
  return Object.fromEntries(
    [...kinds].map((kind) => [kind, [sampleOf('_count', kind), sampleOf('_sum', kind)]]),
  );
}

/** Sends one query to an agent whose chain is `handler`; the answer takes `waitMs`. */
async function ask(handler: Handler, waitMs: number): Promise<Fixture> {
  const fixture = fixtureFor(handler);
  const processor = fixture.processor('udp');
  const wire = queryWire('a.test', 1);
  const arrivedMs = fixture.clock.nowMs();
  processor.receive(
    wire,
    wire.length,
    arrivedMs,
    () => CLIENT,
    Buffer.alloc(4_096),
    () => {},
  );
  await fixture.clock.advance(waitMs);
  processor.flushDurations();
  await settle();
  return fixture;
}

const made =
  (changes: Parameters<Answer['with']>[0]): Handler =>
  (query) =>
    (answerTo(query) as Answer).with(changes);

const later =
  (handler: Handler): Handler =>
  async (query) =>
    handler(query);

const CASES: readonly [what: string, handler: Handler, served: string | undefined][] = [
  ['an answer from the cache', made({ plugin: 'cache' }), 'hit'],
  ['a stale answer', made({ plugin: 'cache', ttlOverrideSeconds: 30 }), 'stale'],
  ['a stale answer after the budget', later(made({ ttlOverrideSeconds: 30 })), 'stale'],
  ['an answer of another plugin', made({ plugin: 'hosts' }), 'local'],
  ['an answer of an upstream', later(made({ plugin: 'forward' })), 'miss'],
  ["the answer to another client's query", later(made({ plugin: 'cache' })), 'miss'],
  ['a remembered failure', made({ plugin: 'cache', rcode: RCODE.SERVFAIL }), 'failure'],
  ['a failure', later((query) => errorAnswer(query, RCODE.SERVFAIL)), 'failure'],
  ['NXDOMAIN of an upstream', later(made({ rcode: RCODE.NXDOMAIN })), 'miss'],
  ['a query that gets no answer', () => DROPPED, undefined],
];

for (const [what, handler, served] of CASES) {
  it(`${what} counts as ${served ?? 'nothing'}`, async () => {
    const fixture = await ask(handler, 0);
    assert.deepEqual(durations(fixture), served === undefined ? {} : { [served]: [1, 0] });
  });
}

it('answers that are sent together have one duration', async () => {
  const fixture = fixtureFor(made({ plugin: 'cache' }));
  const processor = fixture.processor('udp');
  const wire = queryWire('a.test', 1);
  const arrivedMs = fixture.clock.nowMs();
  for (let i = 0; i < 3; i++)
    processor.receive(
      wire,
      wire.length,
      arrivedMs,
      () => CLIENT,
      Buffer.alloc(4_096),
      () => {},
    );
  await fixture.clock.advance(2);
  processor.flushDurations();
  processor.flushDurations();
  assert.deepEqual(durations(fixture), { hit: [3, 0.006] });
});
