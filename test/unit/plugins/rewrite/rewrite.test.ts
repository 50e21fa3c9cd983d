import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encode, type Answer as PacketRecord, type RecordType } from 'dns-packet';
import { DnsError } from '../../../../agent/base/errors.ts';
import { flagsOf } from '../../../../agent/dns/header.ts';
import { CLASS, RCODE, type TYPE, typeName } from '../../../../agent/dns/iana.ts';
import { nameToText } from '../../../../agent/dns/name.ts';
import { readReply } from '../../../../agent/dns/reply.ts';
import { setup } from '../../../../agent/plugins/rewrite/setup.ts';
import { type Answer, relayedAnswer } from '../../../../agent/query/answer.ts';
import type { InternalQuestion, Query } from '../../../../agent/query/query.ts';
import { parseDirective } from '../../../support/corefiles/parse.ts';
import { decoded, type QueryOptions, queryFor } from '../../../support/queries.ts';
import { fakeServices } from '../../../support/services.ts';

const record = (line: string): PacketRecord => {
  const [name, ttl, type, ...rest] = line.split(' ') as [string, string, string, ...string[]];
  const [first = '', second = ''] = rest;
  const data =
    type === 'SRV'
      ? { port: Number(first), target: second }
      : type === 'MX'
        ? { preference: Number(first), exchange: second }
        : first;
  return { name, ttl: Number(ttl), type, data } as PacketRecord;
};

/** An upstream's answer to `question`. */
function reply(question: string, lines: readonly string[] = [], rcode = 0): Answer {
  const [name, type] = question.split(' ') as [string, RecordType];
  const wire = encode({
    type: 'response',
    flags: rcode,
    questions: [{ name, type }],
    answers: lines.map(record),
  });
  const read = readReply(wire);
  assert.ok(read);
  return relayedAnswer(read, 'forward', fakeServices().clock.nowMs());
}

const shown = (answer: Answer): string[] =>
  (decoded(answer).answers ?? []).map((found) => {
    assert.ok('ttl' in found && 'data' in found);
    const { data } = found as { data: unknown };
    const text = typeof data === 'string' ? data : Object.values(data as object).join(' ');
    return `${found.name} ${found.ttl} ${found.type} ${text}`;
  });

interface Ran {
  readonly answer: Answer;
  /** What lay below was asked: `name TYPE`. */
  readonly asked: string;
  readonly below: Query;
  readonly resolved: InternalQuestion[];
}

async function run(
  rules: string,
  question: string,
  answerBelow: (asked: string) => Answer = (asked) => reply(asked),
  options: QueryOptions & { resolve?: (asked: string) => Answer } = {},
): Promise<Ran> {
  const resolved: InternalQuestion[] = [];
  const services = fakeServices({
    resolve: (wanted) => {
      resolved.push(wanted);
      const asked = `${nameToText(wanted.name)} ${typeName(wanted.type)}`;
      return Promise.resolve((options.resolve ?? reply)(asked));
    },
  });
  const { directive, block } = parseDirective(rules);
  const plugin = setup(directive, block, services);
  const [name, type] = question.split(' ') as [string, keyof typeof TYPE];
  let below: Query | undefined;
  const query = queryFor(name, type, options);
  const result = plugin.handle?.(query, (asked) => {
    below = asked;
    return answerBelow(`${asked.nameText} ${typeName(asked.type)}`);
  });
  const answer = (await result) as Answer;
  assert.ok(below !== undefined);
  const [asked] = decoded(answer).questions ?? [];
  assert.deepEqual(
    [asked?.name.toLowerCase(), asked?.type],
    [name.toLowerCase(), type],
    'the client gets its own question',
  );
  return { answer, asked: `${below.nameText} ${typeName(below.type)}`, below, resolved };
}

describe('rewrite name', () => {
  for (const [rule, question, expected] of [
    ['name a.example b.example', 'A.Example', 'b.example.'],
    ['name exact a.example b.example', 'x.a.example', 'x.a.example.'],
    ['name prefix pre- post-', 'pre-1.example', 'post-1.example.'],
    ['name prefix pre- ""', 'pre-1.example', '1.example.'],
    ['name suffix .example .test', 'a.example', 'a.test.'],
    ['name suffix .example. .test.', 'example', 'example.'],
    ['name suffix example longer.test', 'myexample', 'mylonger.test.'],
    ['name substring foo barbar', 'foo.xfoo.example', 'barbar.xbarbar.example.'],
    ['name substring foo.example bar.test', 'a.foo.example', 'a.bar.test.'],
    ['name regex (.*)-(us)\\.example {2}.{1}.test', 'ftp-us.example', 'us.ftp.test.'],
    ['name regex ^a\\. B.Example', 'a.b.c', 'b.example.'],
    ['stop name a.example b.example', 'a.example', 'b.example.'],
    ['{\nname exact a.example b.example\n}', 'a.example', 'b.example.'],
  ] as const) {
    it(`${JSON.stringify(rule)}: ${question} asks for ${expected}`, async () => {
      assert.equal((await run(`rewrite ${rule}`, `${question} A`)).asked, `${expected} A`);
    });
  }

  const below = (asked: string): Answer => {
    const [name] = asked.split(' ') as [string];
    return reply(asked, [`${name} 60 CNAME www.${name}`, `www.${name} 60 A 192.0.2.1`]);
  };

  for (const [rule, question, expected] of [
    [
      'name exact a.example a.very.much.longer.test',
      'a.example',
      ['a.example 60 CNAME www.a.example', 'www.a.example 60 A 192.0.2.1'],
    ],
    [
      'name suffix .example .test',
      'a.example',
      ['a.test 60 CNAME www.a.test', 'www.a.test 60 A 192.0.2.1'],
    ],
    [
      'name suffix .example .test answer auto',
      'a.example',
      ['a.example 60 CNAME www.a.example', 'www.a.example 60 A 192.0.2.1'],
    ],
    [
      'name substring ex xe answer auto',
      'a.example',
      ['a.example 60 CNAME www.a.example', 'www.a.example 60 A 192.0.2.1'],
    ],
    [
      'name regex (.*)\\.example {1}.test answer name (.*)\\.test {1}.example',
      'a.example',
      ['a.example 60 CNAME www.a.test', 'www.a.example 60 A 192.0.2.1'],
    ],
    [
      'name regex (.*)\\.example {1}.test answer value (.*)\\.test {1}.example',
      'a.example',
      ['a.test 60 CNAME www.a.example', 'www.a.test 60 A 192.0.2.1'],
    ],
    [
      '{\nname regex (.*)\\.example {1}.test\nanswer name (.*)\\.test {1}.x\nvalue (.*)\\.test {1}.y\n}',
      'a.example',
      ['a.x 60 CNAME www.a.y', 'www.a.x 60 A 192.0.2.1'],
    ],
  ] as const) {
    it(`${JSON.stringify(rule)} answers ${expected.join(', ')}`, async () => {
      const { answer } = await run(`rewrite ${rule}`, `${question} A`, below);
      assert.deepEqual(shown(answer), expected);
      assert.equal(answer.ttlOffsets.length, 2);
      assert.equal(answer.plugin, 'forward');
    });
  }

  it('undoes rules that continue, the last one first', async () => {
    const rules = 'rewrite continue name a.example b.test\nrewrite name b.test c.example';
    const { answer, asked } = await run(rules, 'a.example A', (name) =>
      reply(name, ['c.example 60 A 192.0.2.1']),
    );
    assert.equal(asked, 'c.example. A');
    assert.deepEqual(shown(answer), ['a.example 60 A 192.0.2.1']);
  });

  it('stops at the first rule that matches, unless it continues', async () => {
    const rules = (mode: string) =>
      `rewrite ${mode} name a.example b.test\nrewrite name b.test c.test`;
    assert.equal((await run(rules(''), 'a.example A')).asked, 'b.test. A');
    assert.equal((await run(rules('stop'), 'a.example A')).asked, 'b.test. A');
    assert.equal((await run(rules('continue'), 'a.example A')).asked, 'c.test. A');
    assert.equal((await run(rules(''), 'b.test A')).asked, 'c.test. A');
  });

  it('renames in SRV and MX, and not what nobody named', async () => {
    const { answer } = await run('rewrite name exact a.example b.test', 'a.example SRV', (name) =>
      reply(name, [
        'b.test 60 SRV 80 x.b.test',
        'b.test 60 MX 10 mail.b.test',
        'c.b 9 A 192.0.2.1',
      ]),
    );
    assert.deepEqual(shown(answer), [
      'a.example 60 SRV 0 0 80 x.a.example',
      'a.example 60 MX 10 mail.a.example',
      'c.b 9 A 192.0.2.1',
    ]);
  });

  it('says SERVFAIL to a name that is none', async () => {
    await assert.rejects(run('rewrite name regex (.*) {1}..x', 'a.example A'), {
      name: 'DnsError',
      rcode: RCODE.SERVFAIL,
    });
    const long = `rewrite name suffix .example .${'x'.repeat(63)}.${'y'.repeat(63)}.${'z'.repeat(63)}.${'w'.repeat(60)}`;
    await assert.rejects(run(long, 'abc.example A'), { rcode: RCODE.SERVFAIL });
  });

  it('leaves a query that no rule is for as it is', async () => {
    const { below: seen } = await run('rewrite name a.example b.example', 'c.example A');
    assert.equal(seen.id, 4_711);
    assert.equal(seen.nameText, 'c.example.');
  });

  it('asks as the same client, with a message of its own', async () => {
    const { below: seen } = await run(
      'rewrite name a.example b.example',
      'a.example A',
      undefined,
      {
        transport: 'tcp',
        udpSizeBytes: 1_400,
        dnssecOk: true,
      },
    );
    assert.deepEqual(
      [seen.transport, seen.head.udpSizeBytes, seen.dnssecOk, seen.client.address, seen.id],
      ['tcp', 1_400, true, '10.244.0.7', 4_711],
    );
    assert.ok(seen.wire.includes('\x01b\x07example'));
  });
});

describe('rewrite type and class', () => {
  it('asks for another type and restores the question', async () => {
    const { asked } = await run('rewrite type ANY HINFO', 'a.example ANY');
    assert.equal(asked, 'a.example. HINFO');
  });

  it('asks in another class', async () => {
    const { below } = await run('rewrite class CH IN', 'a.example A', undefined, {
      class: CLASS.CH,
    });
    assert.equal(below.class, CLASS.IN);
  });
});

describe('rewrite ttl', () => {
  for (const [range, expected] of [
    ['15', [15, 15]],
    ['100-200', [100, 200]],
    ['100-', [100, 300]],
    ['-100', [60, 100]],
  ] as const) {
    it(`${range}: 60 and 300 become ${expected.join(' and ')}`, async () => {
      const below = reply('a.example A', ['a.example 60 A 192.0.2.1', 'a.example 300 A 192.0.2.2']);
      const { answer } = await run(`rewrite ttl a.example ${range}`, 'a.example A', () => below);
      const ttls = decoded(answer).answers?.map((found) => 'ttl' in found && found.ttl);
      assert.deepEqual(ttls, expected);
      assert.notDeepEqual(answer.wire, below.wire, 'a shared answer was written to');
    });
  }

  it('is for the names it matches', async () => {
    const below = reply('a.example A', ['a.example 60 A 192.0.2.1']);
    const { answer } = await run('rewrite ttl suffix .test 15', 'a.example A', () => below);
    assert.equal(answer, below);
  });
});

describe('rewrite rcode', () => {
  it('changes the code of an answer', async () => {
    const { answer } = await run(
      'rewrite rcode a.example SERVFAIL NXDOMAIN',
      'a.example A',
      (asked) => reply(asked, [], RCODE.SERVFAIL),
    );
    assert.deepEqual([answer.rcode, flagsOf(answer.wire) & 15], [3, 3]);
  });

  it('makes an answer of an error', async () => {
    const fails = (): never => {
      throw new DnsError(RCODE.SERVFAIL, 'nobody there', { code: 22, text: 'gone' });
    };
    const { answer } = await run('rewrite rcode a.example 2 NOERROR', 'a.example A', fails);
    assert.deepEqual([answer.rcode, answer.extended?.code, answer.shareable], [0, 22, false]);
    await assert.rejects(run('rewrite rcode a.example 5 0', 'a.example A', fails), { rcode: 2 });
    const silent = (): never => {
      throw new DnsError(-1, 'silence');
    };
    await assert.rejects(run('rewrite rcode a.example 2 0', 'a.example A', silent), { rcode: -1 });
  });
});

describe('rewrite cname', () => {
  const below = (asked: string): Answer =>
    reply(asked, [
      'a.example 60 CNAME b.example',
      'b.example 50 CNAME cdn.test',
      'cdn.test 40 A 192.0.2.1',
    ]);

  it('looks the new target up', async () => {
    const rule = 'rewrite cname exact cdn.test own.cdn.test';
    const resolve = (): Answer => reply('own.cdn.test A', ['own.cdn.test 30 A 192.0.2.9']);
    const { answer, resolved } = await run(rule, 'a.example A', below, { resolve });
    assert.deepEqual(shown(answer), [
      'a.example 60 CNAME b.example',
      'b.example 50 CNAME own.cdn.test',
      'own.cdn.test 30 A 192.0.2.9',
    ]);
    assert.deepEqual([resolved.length, resolved[0]?.depth], [1, 1]);
  });

  it('takes over the rcode of what is there', async () => {
    const resolve = (asked: string): Answer => reply(asked, [], RCODE.NXDOMAIN);
    const rule = 'rewrite cname suffix .test .invalid';
    const { answer } = await run(rule, 'a.example A', below, { resolve });
    assert.deepEqual([answer.rcode, flagsOf(answer.wire) & 15], [3, 3]);
    assert.equal(shown(answer).length, 2);
  });

  it('leaves other answers alone', async () => {
    const { resolved, answer } = await run('rewrite cname x.test y.test', 'a.example A', below);
    assert.deepEqual([resolved.length, shown(answer).length], [0, 3]);
  });
});
