import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RCODE } from '../../../../agent/dns/iana.ts';
import type { Answer } from '../../../../agent/query/answer.ts';
import { reply, run, shown } from './rewriting.ts';

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

  it('renames in SRV and MX, and no names that no rule matches', async () => {
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

  it('answers SERVFAIL for an invalid name', async () => {
    await assert.rejects(run('rewrite name regex (.*) {1}..x', 'a.example A'), {
      name: 'DnsError',
      rcode: RCODE.SERVFAIL,
    });
    const long = `rewrite name suffix .example .${'x'.repeat(63)}.${'y'.repeat(63)}.${'z'.repeat(63)}.${'w'.repeat(60)}`;
    await assert.rejects(run(long, 'abc.example A'), { rcode: RCODE.SERVFAIL });
  });

  it('does not change a query that no rule matches', async () => {
    const { below: seen } = await run('rewrite name a.example b.example', 'c.example A');
    assert.equal(seen.id, 4_711);
    assert.equal(seen.nameText, 'c.example.');
  });

  it('keeps the client, with a new message', async () => {
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
