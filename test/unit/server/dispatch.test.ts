import { strict as assert } from 'node:assert';
import { it } from 'node:test';
import { DnsError, DropQuery } from '../../../agent/base/errors.ts';
import { CLASS, EDE, RCODE } from '../../../agent/dns/iana.ts';
import { Answer } from '../../../agent/query/answer.ts';
import type { Handler } from '../../../agent/query/handler.ts';
import { ZoneTable } from '../../../agent/query/routing.ts';
import { refuse } from '../../../agent/server/dispatch.ts';
import { DROPPED } from '../../../agent/server/respond.ts';
import { decoded, queryFor } from '../../support/dns/queries.ts';
import { answerTo, fixtureFor } from '../../support/server/fixture.ts';

function now(
  handler: Handler,
  name = 'a.test',
  options = {},
): { answer: Answer; fixture: ReturnType<typeof fixtureFor> } {
  const fixture = fixtureFor(handler, options);
  const answer = fixture.dispatcher.handle(queryFor(name, 'A'));
  assert.ok(answer instanceof Answer, 'not at once');
  return { answer, fixture };
}

it('returns the answer of the zone’s chain, and records its metrics', () => {
  const fixture = fixtureFor(answerTo, { zone: 'test.' });
  const query = queryFor('a.test', 'A');
  assert.equal((fixture.dispatcher.handle(query) as Answer).plugin, 'test');
  assert.equal(query.requestMetrics, fixture.requestMetrics);
});

it('refuses names outside the zones of the listener, and counts them as dropped', () => {
  const fixture = fixtureFor(answerTo, { zone: 'test.' });
  const query = queryFor('a.example', 'A');
  const answer = fixture.dispatcher.handle(query) as Answer;
  assert.equal(answer.rcode, RCODE.REFUSED);
  assert.deepEqual(decoded(answer).questions, [{ name: 'a.example', type: 'A', class: 'IN' }]);
  assert.equal(query.requestMetrics, fixture.dropped);
});

it('refuses on a listener that is not in the configuration', () => {
  const fixture = fixtureFor(answerTo);
  fixture.dispatcher.swap([]);
  const query = queryFor('a.test', 'A');
  assert.equal((fixture.dispatcher.handle(query) as Answer).rcode, RCODE.REFUSED);
  assert.equal(query.requestMetrics, undefined);
});

it('refuses classes other than IN unless the block forwards', () => {
  const chaos = queryFor('version.bind', 'TXT', { class: CLASS.CH });
  assert.equal((fixtureFor(answerTo).dispatcher.handle(chaos) as Answer).rcode, RCODE.REFUSED);
  const forwarding = fixtureFor(answerTo, { anyClass: true }).dispatcher;
  assert.equal((forwarding.handle(chaos) as Answer).rcode, RCODE.NOERROR);
});

it('uses a new configuration for the next query', () => {
  const fixture = fixtureFor(answerTo);
  const handler = (): never => {
    throw new DnsError(RCODE.NXDOMAIN, 'gone');
  };
  fixture.dispatcher.swap([
    new ZoneTable([{ zone: '.', handler, requestMetrics: undefined, anyClass: false }], undefined),
  ]);
  assert.equal(
    (fixture.dispatcher.handle(queryFor('a.test', 'A')) as Answer).rcode,
    RCODE.NXDOMAIN,
  );
});

it('turns a DnsError into its rcode and extended error, thrown or rejected', async () => {
  const extended = { code: 23, text: 'network error' };
  const error = new DnsError(RCODE.SERVFAIL, 'no upstream', extended);
  const thrown = now(() => {
    throw error;
  });
  assert.equal(thrown.answer.rcode, RCODE.SERVFAIL);
  assert.deepEqual(thrown.answer.extended, extended);
  assert.equal(thrown.fixture.panics.value, 0);
  assert.deepEqual(thrown.fixture.log.records, []);
  const fixture = fixtureFor(() => Promise.reject(error));
  const rejected = await fixture.dispatcher.handle(queryFor('a.test', 'A'));
  assert.deepEqual(rejected, thrown.answer);
});

it('sends no response where a DnsError says so', () => {
  const { answer } = now(() => {
    throw new DropQuery('drop');
  });
  assert.equal(answer, DROPPED);
});

it('turns any other fault into SERVFAIL, counted and logged with its stack, thrown or rejected', async () => {
  const { answer, fixture } = now(() => {
    throw new TypeError('no such thing');
  });
  assert.equal(answer.rcode, RCODE.SERVFAIL);
  assert.deepEqual(answer.extended, { code: EDE.OTHER, text: 'internal error' });
  assert.equal(fixture.panics.value, 1);
  const [record] = fixture.log.records;
  assert.equal(record?.message, 'a plugin failed: no such thing');
  assert.match(String(record?.fields.stack), /dispatch\.test/);
  assert.equal(record?.fields.question, 'a.test.');

  const later = fixtureFor(() => Promise.reject(new RangeError('later')));
  const rejected = await later.dispatcher.handle(queryFor('a.test', 'A'));
  assert.equal(rejected.rcode, RCODE.SERVFAIL);
  assert.equal(later.panics.value, 1);
});

it('refuses at the end of a chain that has not answered', () => {
  assert.equal(now(refuse).answer.rcode, RCODE.REFUSED);
});
