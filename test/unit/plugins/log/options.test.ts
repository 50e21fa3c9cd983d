/** Options of `log` that CoreDNS does not have: format, sample, slow. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sleep } from '../../../../agent/base/clock.ts';
import { ConfigError, DnsError, DropQuery } from '../../../../agent/base/errors.ts';
import { FLAG } from '../../../../agent/dns/header.ts';
import { CLASS, RCODE, TYPE } from '../../../../agent/dns/iana.ts';
import { nameFromText } from '../../../../agent/dns/name.ts';
import { setup } from '../../../../agent/plugins/log/setup.ts';
import { madeAnswer } from '../../../../agent/query/answer.ts';
import { clientAt, type Query } from '../../../../agent/query/query.ts';
import { parseDirective } from '../../../support/corefiles/parse.ts';
import { queryFor } from '../../../support/dns/queries.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { fakeServices } from '../../../support/services.ts';

const ANSWER = madeAnswer(
  { name: nameFromText('a.'), type: TYPE.A, class: CLASS.IN },
  {
    ...{ rcode: RCODE.NOERROR, flags: FLAG.RA },
    answer: [{ type: TYPE.A, ttlSeconds: 30, rdata: Uint8Array.of(192, 0, 2, 1) }],
  },
  'hosts',
);

function logging(text: string, random: () => number = () => 0.5) {
  const clock = new FakeClock(1_000);
  const services = fakeServices({ clock, random });
  const { directive, block } = parseDirective(text);
  const { handle } = setup(directive, block, services);
  assert.ok(handle !== undefined);
  /** Answers at once, `durationMs` after the query came. */
  const hit = (durationMs = 0, query: Query = queryFor('a.', 'A')): void => {
    query.arrivedMs = clock.nowMs() - durationMs;
    assert.equal(
      handle(query, () => ANSWER),
      ANSWER,
    );
  };
  return { ...services, clock, handle, hit };
}

describe('log format json', () => {
  it('writes an object with the fields of the agent’s own lines', () => {
    const { hit, lines, clock } = logging('log {\nformat json\n}');
    const client = clientAt('fd00::7', 40_053);
    hit(0.25, queryFor('Example.org.', 'A', { client, udpSizeBytes: 1_232, dnssecOk: true }));
    assert.deepEqual(JSON.parse(lines[0] ?? ''), {
      ...{ level: 'info', time: new Date(clock.wallMs()).toISOString(), event: 'query' },
      ...{ client: 'fd00::7', port: 40_053, transport: 'udp', id: 4711 },
      ...{ name: 'example.org.', type: 'A', class: 'IN', dnssecOk: true, udpSizeBytes: 1_232 },
      ...{ queryBytes: 40, rcode: 'NOERROR', flags: 'qr,rd,ra', responseBytes: ANSWER.length },
      ...{ from: 'local', plugin: 'hosts', durationMs: 0.25, msg: 'query' },
    });
  });

  it('writes errors, dropped queries, and metadata', async () => {
    const { handle, lines } = logging('log {\nformat json\n}');
    const query = queryFor('a.', 'A');
    query.metadata = new Map([['forward/upstream', '192.0.2.53:53']]);
    const refused = new DnsError(RCODE.REFUSED, 'no');
    await assert.rejects(async () => await handle(query, () => Promise.reject(refused)), DnsError);
    assert.throws(
      () =>
        handle(query, () => {
          throw new DropQuery('dropped');
        }),
      DropQuery,
    );
    const [first, second] = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.equal(first?.rcode, 'REFUSED');
    assert.equal(first?.from, 'failure');
    assert.deepEqual(first?.metadata, { 'forward/upstream': '192.0.2.53:53' });
    assert.equal(second?.from, 'dropped');
    assert.equal(second !== undefined && 'rcode' in second, false);
  });

  it('stays one line of JSON whatever the name has', () => {
    const { hit, lines } = logging('log {\nformat json\n}');
    hit(0, queryFor('a\\010b\\"\\226\\128\\168c.', 'A'));
    assert.doesNotMatch(lines[0] ?? '', /[\n\u2028]/);
    assert.equal((JSON.parse(lines[0] ?? '') as { name: string }).name.startsWith('a\\010b'), true);
  });
});

describe('log sample', () => {
  it('writes one of N on average, at irregular intervals', () => {
    const draws = [0, 0.999, 0.5, 0.25];
    let next = 0;
    const { hit, lines } = logging('log {\nsample 1/4\n}', () => draws[next++ % 4] as number);
    const logged: number[] = [];
    for (let query = 1; query <= 13; query++) {
      const before = lines.length;
      hit();
      if (lines.length > before) logged.push(query);
    }
    // Gaps of 1, 7, 4 and 2: from 1 to 2·4 − 1.
    assert.deepEqual(logged, [1, 8, 12]);
  });

  it('passes the other queries on untouched', () => {
    const { handle } = logging('log {\nsample 1/100\n}');
    const late = Promise.resolve(ANSWER);
    assert.equal(
      handle(queryFor('a.', 'A'), () => late),
      late,
    );
  });

  it('is shared by the names of a use, and says in JSON for how many queries a line stands', () => {
    const { hit, lines } = logging('log a b {\nsample 1/3\nformat json\n}', () => 0.4);
    for (let pair = 0; pair < 3; pair++) {
      hit(0, queryFor('a.', 'A'));
      hit(0, queryFor('b.', 'A'));
    }
    assert.equal(lines.length, 2);
    assert.equal((JSON.parse(lines[0] ?? '') as { sampledOf: number }).sampledOf, 3);
  });
});

describe('log slow', () => {
  it('writes queries that took as long, at once or late, and no others', async () => {
    const { hit, handle, clock, lines } = logging('log {\nslow 50ms\nformat json\n}');
    hit(49.9);
    assert.equal(lines.length, 0);
    hit(50);
    assert.equal(lines.length, 1);
    const query = queryFor('a.', 'A');
    query.arrivedMs = clock.nowMs();
    const answered = handle(query, () => sleep(clock, 60).then(() => ANSWER));
    await clock.advance(60);
    await answered;
    assert.equal(lines.length, 2);
    const { slow, durationMs, from } = JSON.parse(lines[1] ?? '') as Record<string, unknown>;
    assert.deepEqual([slow, durationMs, from], [true, 60, 'miss']);
  });

  it('adds to a sample, and to a class', async () => {
    const { hit, handle, clock, lines } = logging(
      'log {\nslow 50ms\nsample 1/1000\nclass error\nformat json\n}',
    );
    hit(60);
    hit();
    assert.equal(lines.length, 0, 'a success');
    const query = queryFor('a.', 'A');
    query.arrivedMs = clock.nowMs();
    const failing = handle(query, async () => {
      await sleep(clock, 60);
      throw new DnsError(RCODE.SERVFAIL, 'no');
    }) as Promise<unknown>;
    failing.catch(() => undefined);
    await clock.advance(60);
    await assert.rejects(async () => await failing, DnsError);
    const line = JSON.parse(lines[0] ?? '') as Record<string, unknown>;
    assert.equal(line.slow, true);
    assert.equal('sampledOf' in line, false, 'a slow query stands for itself alone');
  });
});

describe('log options', () => {
  const BAD: readonly [option: string, reason: RegExp][] = [
    ['sample', /sample needs one argument/],
    ['sample 100', /"100" is not a share from 1\/1 to 1\/1000000, like 1\/100/],
    ['sample 1/0', /is not a share/],
    ['sample 2/3', /is not a share/],
    ['sample 1/1000001', /is not a share/],
    ['slow', /slow needs one argument/],
    ['slow 50', /"50" is not a duration/],
    ['slow 0s', /"0s" is too little: at least 0.1ms/],
    ['slow -1s', /"-1s" is too little/],
    ['format yaml', /unknown "yaml"/],
    ['format json text', /takes at most one argument: remove "text"/],
    ['smaple 1/2', /unknown option "smaple" of log: .*sample/],
  ];

  for (const [option, reason] of BAD) {
    it(`refuse "${option}" with its line`, () => {
      assert.throws(
        () => logging(`log {\nclass all\n${option}\n}`),
        (error: unknown) => {
          assert.ok(error instanceof ConfigError);
          assert.match(error.message, reason);
          // A block's first line is the directive's.
          assert.match(error.message, /:4:/);
          return true;
        },
      );
    });
  }

  it('refuse JSON beside a format', () => {
    assert.throws(
      () => logging('log "{name}" {\nformat json\n}'),
      /"json" is not possible beside the format "\{name\}": remove one of the two/,
    );
    const { hit, lines } = logging('log "{name}" {\nformat text\n}');
    hit();
    assert.deepEqual(lines, ['[INFO] a.']);
  });
});
