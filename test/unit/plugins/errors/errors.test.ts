import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  ConfigError,
  DnsError,
  DropQuery,
  GaveWayError,
  NetworkError,
} from '../../../../agent/base/errors.ts';
import { RCODE } from '../../../../agent/dns/iana.ts';
import { setup } from '../../../../agent/plugins/errors/setup.ts';
import { Query } from '../../../../agent/query/query.ts';
import { DEDUPLICATE_BY } from '../../../../agent/query/services/log.ts';
import { parseDirective } from '../../../support/corefiles/parse.ts';
import { NextSpy, queryFor } from '../../../support/dns/queries.ts';
import { fakeServices } from '../../../support/services.ts';

function errors(text = 'errors') {
  const services = fakeServices();
  const { directive, block } = parseDirective(text);
  const plugin = setup(directive, block, services);
  const { handle } = plugin;
  assert.ok(handle !== undefined);
  /** Has a query fail with `error`, which must be passed on unchanged. */
  const fail = (error: unknown, name = 'example.org.'): void => {
    const query = queryFor(name, 'AAAA');
    query.arrivedMs = services.clock.nowMs() - 12.5;
    const thrown = (): never => {
      throw error;
    };
    assert.throws(
      () => handle(query, thrown),
      (seen) => seen === error,
    );
  };
  return { ...services, records: services.log.records, plugin, handle, fail };
}

const timeout = new DnsError(RCODE.SERVFAIL, 'no answer in time', undefined, {
  cause: Object.assign(new NetworkError('wait', 'ETIMEDOUT', 'timed out'), {
    upstream: '10.96.0.10:53',
  }),
});

describe('errors', () => {
  it('passes answers on, immediate or delayed', async () => {
    const { handle, records } = errors();
    const next = new NextSpy();
    assert.equal(handle(queryFor('a.', 'A'), next.handler), next.answer);
    const later = handle(queryFor('a.', 'A'), () => Promise.resolve(next.answer));
    assert.equal(await later, next.answer);
    assert.deepEqual(records, []);
  });

  it('names the client, the question and the place of the error', () => {
    const { fail, records } = errors('errors stdout');
    fail(timeout, 'Example.org.');
    assert.deepEqual(records, [
      {
        level: 'error',
        message: 'plugin/errors: 2 example.org. AAAA: no answer in time',
        fields: {
          event: 'query-failed',
          [DEDUPLICATE_BY]: 'query-failed 2 10.96.0.10:53 wait',
          client: '10.244.0.7:40053',
          question: 'example.org. AAAA',
          rcode: 'SERVFAIL',
          transport: 'udp',
          upstream: '10.96.0.10:53',
          phase: 'wait',
          errno: 'ETIMEDOUT',
          ms: 12.5,
        },
      },
    ]);
  });

  it('reports delayed failures, too', async () => {
    const { handle, records } = errors();
    const rejected = (): Promise<never> => Promise.reject(timeout);
    await assert.rejects(async () => await handle(queryFor('a.', 'A'), rejected), DnsError);
    assert.equal(records.length, 1);
  });

  it('reports internal faults as SERVFAIL, with the stack if enabled', () => {
    const plain = errors();
    plain.fail(new TypeError('bug'));
    assert.equal(plain.records[0]?.message, 'plugin/errors: 2 example.org. AAAA: bug');
    assert.equal(plain.records[0]?.fields.stack, undefined);
    const traced = errors('errors {\nstacktrace\n}');
    traced.fail(new TypeError('bug'));
    assert.match(String(traced.records[0]?.fields.stack), /errors\.test\.ts/);
  });

  it('deduplicates the same failure of different names, under one event', () => {
    const { fail, records } = errors();
    fail(timeout, 'a.');
    fail(timeout, 'b.');
    fail(new DnsError(RCODE.SERVFAIL, 'other'), 'a.');
    const folds = records.map(({ fields }) => fields[DEDUPLICATE_BY]);
    assert.equal(folds[0], folds[1]);
    assert.notEqual(folds[0], folds[2]);
    assert.deepEqual(
      records.map(({ fields }) => fields.event),
      ['query-failed', 'query-failed', 'query-failed'],
    );
  });

  it('does not report a query dropped on purpose, nor a client that gives way', () => {
    const { fail, records } = errors();
    fail(new DropQuery('dropped'));
    fail(new GaveWayError());
    assert.deepEqual(records, []);
  });

  it('logs failures of the agent’s own queries at level debug, and does not count them', async () => {
    const { handle, records, clock } = errors('errors {\nconsolidate 1m ".*"\n}');
    const { name, type } = queryFor('1234.5678.example.org.', 'HINFO');
    const server = { index: 0, label: '' };
    const ask = { name, type, dnssecOk: false, checkingDisabled: false, server };
    const failing = (): never => {
      throw timeout;
    };
    assert.throws(() => handle(Query.internal(ask, 0), failing), DnsError);
    await clock.advance(60_000);
    assert.deepEqual(
      records.map(({ level, fields }) => [level, fields.client]),
      [['debug', 'internal']],
    );
    // In a query for a client it is the client's error.
    assert.throws(() => handle(Query.internal(ask, 0, '10.244.0.7'), failing), DnsError);
    await clock.advance(60_000);
    assert.deepEqual(
      records.map(({ level }) => level),
      ['debug', 'error'],
    );
  });

  it('handles errors that cause each other and thrown values that are no errors', () => {
    const { fail, records } = errors();
    const one = new DnsError(RCODE.SERVFAIL, 'one');
    one.cause = new Error('two', { cause: one });
    fail(one);
    fail('just text');
    assert.equal(records[1]?.message, 'plugin/errors: 2 example.org. AAAA: just text');
  });

  it('refuses unknown options', () => {
    for (const text of [
      'errors stderr',
      'errors stdout x',
      'errors\nerrors',
      'errors {\nstacktrace on\n}',
      'errors {\nconsolidate 5m\n}',
      'errors {\nconsolidate 5m (\n}',
      'errors {\nconsolidate 0s x\n}',
      'errors {\nconsolidate 5 x\n}',
      'errors {\nconsolidate 5m x loud\n}',
      'errors {\nconsolidate 5m x show_first error\n}',
      'errors {\nconsolidate 5m x error show_last\n}',
      'errors {\nconsolidate 5m x error show_first y\n}',
    ]) {
      assert.throws(() => errors(text), ConfigError, text);
    }
  });
});

describe('consolidate', () => {
  it('writes one line per window, at its level, and nothing before', async () => {
    const { fail, records, clock } = errors('errors {\nconsolidate 5m ".* in time$" warning\n}');
    fail(timeout, 'a.');
    fail(timeout, 'b.');
    fail(new DnsError(RCODE.SERVFAIL, 'in time?'), 'c.');
    assert.equal(records.length, 1, 'only what does not match is logged at once');
    await clock.advance(299_999);
    fail(timeout, 'd.');
    await clock.advance(1);
    assert.deepEqual(
      records.slice(1).map(({ level, message }) => [level, message]),
      [['warn', "plugin/errors: 3 errors like '.* in time$' occurred in last 5m"]],
    );
    await clock.advance(600_000);
    assert.equal(records.length, 2);
  });

  it('counts an error for the first pattern that matches', async () => {
    const { fail, records, clock } = errors(
      'errors {\nconsolidate 1s time\nconsolidate 1s answer\n}',
    );
    fail(timeout);
    fail(new DnsError(RCODE.SERVFAIL, 'bad answer'));
    await clock.advance(1_000);
    assert.deepEqual(
      records.map(({ message }) => message),
      [
        "plugin/errors: 1 errors like 'time' occurred in last 1s",
        "plugin/errors: 1 errors like 'answer' occurred in last 1s",
      ],
    );
  });

  it('shows the first in full if configured, and then no line for it alone', async () => {
    const { fail, records, clock } = errors('errors {\nconsolidate 1s time info show_first\n}');
    fail(timeout);
    await clock.advance(1_000);
    assert.deepEqual(
      records.map(({ level, message }) => [level, message]),
      [['info', 'plugin/errors: 2 example.org. AAAA: no answer in time']],
    );
    fail(timeout);
    fail(timeout);
    await clock.advance(1_000);
    assert.equal(records.length, 3);
    assert.match(records[2]?.message ?? '', /^plugin\/errors: 2 errors like/);
    assert.equal(records[2]?.level, 'info');
  });

  it('writes pending summaries when it stops, and leaves no timer', () => {
    const { fail, records, clock, plugin } = errors('errors {\nconsolidate 1s time\n}');
    fail(timeout);
    plugin.stop?.();
    assert.equal(records.length, 1);
    assert.equal(clock.pendingTimers, 0);
  });
});
