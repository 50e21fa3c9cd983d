import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError, DnsError, DropQuery } from '../../../../agent/base/errors.ts';
import { FLAG } from '../../../../agent/dns/header.ts';
import { CLASS, RCODE, TYPE } from '../../../../agent/dns/iana.ts';
import { nameFromText } from '../../../../agent/dns/name.ts';
import { setup } from '../../../../agent/plugins/log/setup.ts';
import { Answer, madeAnswer } from '../../../../agent/query/answer.ts';
import type { Handler } from '../../../../agent/query/handler.ts';
import { clientAt, Query } from '../../../../agent/query/query.ts';
import { DROPPED } from '../../../../agent/server/respond.ts';
import { parseDirective } from '../../../support/corefiles/parse.ts';
import { type QueryOptions, queryFor } from '../../../support/dns/queries.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { fakeServices } from '../../../support/services.ts';

/** A message of 12 + 13 + 4 bytes of question and 16 of answer. */
function positive(query: Query, flags: number = FLAG.RA): Answer {
  const record = { type: TYPE.A, ttlSeconds: 30, rdata: Uint8Array.of(192, 0, 2, 1) };
  return madeAnswer(question(query), { rcode: RCODE.NOERROR, flags, answer: [record] }, 'x');
}

function withAuthority(query: Query, rcode: number, type: number): Answer {
  const record = { name: nameFromText('org.'), type, ttlSeconds: 30, rdata: Uint8Array.of(0) };
  return madeAnswer(question(query), { rcode, flags: 0, authority: [record] }, 'x');
}

function empty(query: Query, rcode: number): Answer {
  return madeAnswer(question(query), { rcode, flags: 0 }, 'x');
}

function question(query: Query) {
  return { name: query.name.slice(), type: query.type, class: query.class };
}

function logging(text: string, keys = '.') {
  const services = fakeServices({ clock: new FakeClock(1_000) });
  const { directive, block } = parseDirective(text, keys);
  const { handle } = setup(directive, block, services);
  assert.ok(handle !== undefined);
  const run = (query: Query, next: Handler) => {
    query.arrivedMs = 999.5;
    return handle(query, next);
  };
  /** As `run`, for an answer that must come at once. */
  const hit = (query: Query, next: Handler): Answer => {
    const answer = run(query, next);
    assert.ok(answer instanceof Answer);
    return answer;
  };
  /** The line for a positive answer to `name`. */
  const line = (name: string, options?: QueryOptions): string | undefined => {
    const query = queryFor(name, 'A', options);
    hit(query, () => positive(query));
    return services.lines.at(-1);
  };
  return { ...services, run, hit, line };
}

describe('log', () => {
  it('writes the common format', () => {
    const { line } = logging('log');
    assert.equal(
      line('Example.org.', { udpSizeBytes: 1232, dnssecOk: true }),
      '[INFO] 10.244.0.7:40053 - 4711 "A IN example.org. udp 40 true 1232" ' +
        'NOERROR qr,rd,ra 45 0.0005s',
    );
  });

  it('writes brackets around IPv6 and the size of a TCP message', () => {
    const { line } = logging('log . "{remote}:{port} {proto} {>bufsize} {local}"');
    const client = clientAt('fd00::7', 5);
    assert.equal(
      line('a.', { transport: 'tcp', client }),
      '[INFO] [fd00::7]:5 tcp 65535 127.0.0.1',
    );
  });

  it('replaces every placeholder, keeps unknown ones, and has no metadata', () => {
    const { line } = logging('log . "{combined}"');
    assert.match(line('a.') ?? '', / 0\.0005s "0"$/);
    const other = logging('log . "{/trace/id} {unknown} {type}{class} {rcode} {{name}}"');
    assert.equal(other.line('a.'), '[INFO] - {unknown} AIN NOERROR {a.}');
    assert.match(logging('log . "x {common}"').line('a.') ?? '', /^\[INFO\] x 10\.244\.0\.7:/);
  });

  it('accepts a format without a name', () => {
    assert.equal(logging('log "{name}"').line('a.'), '[INFO] a.');
  });

  it('writes names so that no byte can break the line', () => {
    const { line } = logging('log . "{name}"');
    assert.equal(line('a\\010b\\"c.'), '[INFO] a\\010b\\"c.');
  });

  it('shows flags in order, RD and CD being the client’s', () => {
    const { hit, lines } = logging('log . "{>rflags}"');
    const query = queryFor('a.', 'A');
    hit(query, () => positive(query, FLAG.AA | FLAG.TC | FLAG.RA | FLAG.AD | FLAG.CD));
    assert.equal(lines[0], '[INFO] qr,aa,tc,rd,ra,ad');
  });

  it('writes seconds without an exponent', () => {
    const { hit, lines } = logging('log . "{duration}"');
    const query = queryFor('a.', 'A');
    const at = (arrivedMs: number): string | undefined => {
      hit(query, (same) => {
        same.arrivedMs = arrivedMs;
        return positive(query);
      });
      return lines.at(-1);
    };
    assert.equal(at(1_000), '[INFO] 0s');
    assert.equal(at(999.9998), '[INFO] 0.0000002s');
    assert.equal(at(-9_000), '[INFO] 10s');
  });

  it('lets the first rule whose name matches decide', () => {
    const { line, lines } = logging(
      'log a.org {\nclass error\n}\nlog org b.net "2 {name}"\nlog net "3 {name}"',
    );
    assert.equal(line('x.a.org.'), undefined, 'the first rule logs errors only');
    assert.equal(line('b.org.'), '[INFO] 2 b.org.');
    assert.equal(line('B.NET.'), '[INFO] 2 b.net.');
    assert.equal(line('c.net.'), '[INFO] 3 c.net.');
    line('c.com.');
    line('notorg.');
    assert.equal(lines.length, 3);
  });

  it('stays synchronous on a hit and passes answers on untouched', async () => {
    const { run, hit, lines } = logging('log');
    const query = queryFor('a.', 'A');
    const answer = positive(query);
    assert.equal(
      hit(query, () => answer),
      answer,
    );
    assert.equal(await run(query, () => Promise.resolve(answer)), answer);
    assert.equal(lines.length, 2);
  });

  it('does not log the agent’s own queries', () => {
    const { hit, lines } = logging('log');
    const query = Query.internal(
      {
        name: nameFromText('a.'),
        type: TYPE.A,
        dnssecOk: false,
        checkingDisabled: false,
        server: { index: 0, label: 'dns://127.0.0.1:53' },
      },
      0,
    );
    hit(query, () => positive(query));
    assert.deepEqual(lines, []);
  });

  it('logs errors as the response that the server makes of them', async () => {
    const { run, hit, lines } = logging('log . "{rcode} {>rflags} {rsize}"');
    const query = queryFor('example.org.', 'A');
    const fail = (error: unknown) => () => {
      throw error;
    };
    assert.throws(() => run(query, fail(new DnsError(RCODE.REFUSED, 'no'))), DnsError);
    assert.throws(() => run(query, fail(new TypeError('bug'))), TypeError);
    await assert.rejects(
      async () => await run(query, () => Promise.reject(new DnsError(RCODE.SERVFAIL, 'no'))),
      DnsError,
    );
    assert.throws(() => run(query, fail(new DropQuery('dropped'))), DropQuery);
    hit(query, () => DROPPED);
    assert.deepEqual(lines, [
      '[INFO] REFUSED qr,rd 29',
      '[INFO] SERVFAIL qr,rd 29',
      '[INFO] SERVFAIL qr,rd 29',
      '[INFO] - - 0',
      '[INFO] - - 0',
    ]);
  });
});

describe('log classes', () => {
  const outcomes: readonly [string, (query: Query) => Answer, string][] = [
    ['data', (query) => positive(query), 'success'],
    ['a delegation', (query) => withAuthority(query, RCODE.NOERROR, TYPE.NS), 'success'],
    ['NOERROR with nothing', (query) => empty(query, RCODE.NOERROR), 'success'],
    ['no data', (query) => withAuthority(query, RCODE.NOERROR, TYPE.SOA), 'denial'],
    ['NXDOMAIN', (query) => empty(query, RCODE.NXDOMAIN), 'denial'],
    ['SERVFAIL', (query) => empty(query, RCODE.SERVFAIL), 'error'],
    ['silence', () => DROPPED, 'error'],
  ];

  for (const [title, make, expected] of outcomes) {
    it(`calls ${title} ${expected}`, () => {
      const seen = ['success', 'denial', 'error'].filter((wanted) => {
        const { hit, lines } = logging(`log {\nclass ${wanted}\n}`);
        const query = queryFor('example.org.', 'A');
        hit(query, () => make(query));
        return lines.length === 1;
      });
      assert.deepEqual(seen, [expected]);
    });
  }

  it('are cumulative, and all means every class', () => {
    const count = (text: string): number => {
      const { hit, lines } = logging(text);
      for (const [, make] of outcomes) {
        const query = queryFor('example.org.', 'A');
        hit(query, () => make(query));
      }
      return lines.length;
    };
    assert.equal(count('log {\nclass denial error\n}'), 4);
    assert.equal(count('log {\nclass denial\nclass error\n}'), 4);
    assert.equal(count('log {\nclass denial all\n}'), 7);
    assert.equal(count('log'), 7);
  });

  it('are refused when unknown', () => {
    for (const text of ['log {\nclass\n}', 'log {\nclass sucess\n}', 'log {\nklass all\n}']) {
      assert.throws(() => logging(text), ConfigError, text);
    }
  });

  it('survives a malformed answer', () => {
    const { hit, lines } = logging('log {\nclass denial\n}');
    const query = queryFor('a.', 'A');
    const wire = Buffer.from(empty(query, RCODE.NOERROR).wire);
    wire[9] = 5;
    hit(query, () => new Answer({ wire, ttlOffsets: [], rcode: 0, plugin: 'x' }));
    assert.equal(lines.length, 0);
    assert.equal(query.class, CLASS.IN);
  });
});
