import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FLAG, flagsOf } from '../../../../agent/dns/header.ts';
import { CLASS, TYPE } from '../../../../agent/dns/iana.ts';
import { nameToText } from '../../../../agent/dns/name.ts';
import { recordFromText } from '../../../../agent/dns/text/record.ts';
import { setup } from '../../../../agent/plugins/template/setup.ts';
import { type Answer, madeAnswer } from '../../../../agent/query/answer.ts';
import type { InternalQuestion } from '../../../../agent/query/query.ts';
import { parseDirective } from '../../../support/corefiles/parse.ts';
import { setUp } from '../../../support/corefiles/set-up.ts';
import { answerLines, decoded, NextSpy, queryFor } from '../../../support/dns/queries.ts';
import { type FakeServices, fakeServices } from '../../../support/services.ts';

function template(text: string, keys = '.', services: FakeServices = fakeServices()) {
  const { directive, block } = parseDirective(text, keys);
  const plugin = setup(directive, block, services);
  const next = new NextSpy();
  return {
    services,
    next,
    ask: async (name: string, type: keyof typeof TYPE = 'A', qclass = 1): Promise<Answer> =>
      (await plugin.handle?.(queryFor(name, type, { class: qclass }), next.handler)) as Answer,
  };
}

const IP = `template IN A example {
match (^|[.])ip-(?P<a>[0-9]+)-(?P<b>[0-9]+)[.]example[.]$ "^x\\.(example)\\.$"
answer "{{ .Name }} 60 IN A 10.0.{{ .Group.a }}.{{ .Group.b }}"
`;

describe('template', () => {
  it('answers from the name, with AA', async () => {
    const answer = await template(`${IP}}`).ask('www.IP-1-2.example');
    assert.deepEqual(answerLines(answer), ['A 10.0.1.2']);
    assert.equal(flagsOf(answer.wire) & FLAG.AA, FLAG.AA);
    assert.deepEqual([answer.plugin, answer.shareable], ['template', true]);
  });

  it('fills every section, and sets the rcode and extended error', async () => {
    const { ask } = template(`template ANY ANY invalid {
rcode NXDOMAIN
authority "{{ .Zone }} 60 {{ .Class }} SOA ns.invalid. hostmaster.invalid. (1 60 60 60 60)"
additional "ns.{{ .Zone }} 60 IN A 192.0.2.1"
ederror 21 "Blocked"
}`);
    const answer = await ask('a.b.invalid', 'TXT');
    const { answers, authorities, additionals } = decoded(answer);
    assert.deepEqual(
      [answers?.length, authorities?.[0]?.name, additionals?.[0]?.name],
      [0, 'invalid', 'ns.invalid'],
    );
    assert.deepEqual([answer.rcode, answer.extended], [3, { code: 21, text: 'Blocked' }]);
  });

  it('writes the name of the question once: 28 addresses fit into 512 bytes, each with its TTL', async () => {
    const answers = Array.from(
      { length: 28 },
      (_, i) => `answer "{{ .Name }} ${100 + i} A 10.0.0.${i}"`,
    );
    const { ask } = template(`template IN A example {\n${answers.join('\n')}\n}`);
    const answer = await ask('headless.example');
    assert.equal(answer.wire.length, 12 + 'headless.example'.length + 2 + 4 + 28 * 16);
    const ttls = (decoded(answer).answers ?? []).map((each) => 'ttl' in each && each.ttl);
    assert.deepEqual(
      ttls,
      answers.map((_, i) => 100 + i),
    );
    assert.deepEqual(
      answer.ttlOffsets.map((at) => answer.wire.readUInt32BE(at)),
      answers.map((_, i) => 100 + i),
    );
  });

  it('passes other zones, types and classes on', async () => {
    const { ask, next } = template(`${IP}}`);
    assert.equal(await ask('ip-1-2.test'), next.answer);
    assert.equal(await ask('ip-1-2.example', 'AAAA'), next.answer);
    assert.equal(await ask('ip-1-2.example', 'A', CLASS.CH), next.answer);
  });

  it('answers SERVFAIL where no pattern matches, unless it falls through', async () => {
    await assert.rejects(template(`${IP}}`).ask('nope.example'), { name: 'DnsError', rcode: 2 });
    const all = template(`${IP}fallthrough\n}`);
    assert.equal(await all.ask('nope.example'), all.next.answer);
    const some = template(`${IP}fallthrough sub.example\n}`);
    assert.equal(await some.ask('nope.sub.example'), some.next.answer);
    await assert.rejects(some.ask('nope.example'), { rcode: 2 });
  });

  it('tries templates in order', async () => {
    const { ask } = template(
      `${IP}fallthrough\n}\ntemplate IN A example {\nanswer "{{ .Name }} A 192.0.2.9"\n}`,
    );
    assert.deepEqual(answerLines(await ask('ip-1-2.example')), ['A 10.0.1.2']);
    assert.deepEqual(answerLines(await ask('other.example')), ['A 192.0.2.9']);
  });

  it('answers SERVFAIL where configured', async () => {
    const { ask } = template('template IN ANY . {\nrcode SERVFAIL\nederror 15 no\n}');
    await assert.rejects(ask('a.example'), { rcode: 2, extended: { code: 15, text: 'no' } });
  });

  it('is not shared where it depends on the client', async () => {
    const { ask } = template('template IN TXT . {\nanswer "{{ .Name }} TXT {{ .Remote }}"\n}');
    const answer = await ask('a.example', 'TXT');
    assert.deepEqual([answerLines(answer), answer.shareable], [['TXT 10.244.0.7'], false]);
  });

  it('counts matches and failures', async () => {
    const bad = '{{ .Name }} A {{ index .Match 1 }}';
    const { ask, services } = template(
      `template IN A . {\nanswer "${bad}"\n}\ntemplate IN MX . {\nanswer "{{ .Name }} MX {{ .Name }}"\n}`,
      'example.org',
    );
    await assert.rejects(ask('a.example.org'), { rcode: 2 });
    await assert.rejects(ask('a.example.org', 'MX'), { rcode: 2 });
    const labels = { server: 'dns://127.0.0.1:53', zone: '.', view: '', class: 'IN' };
    const value = (name: string, more: Record<string, string>) =>
      services.metrics.value(`coredns_template_${name}_total`, { ...labels, ...more });
    assert.equal(value('matches', { type: 'A' }), 1);
    const failed = { section: 'answer', template: bad, type: 'A' };
    assert.equal(value('template_failures', failed), 1);
    assert.equal(value('rr_failures', { type: 'MX', section: 'answer' }), 1);
  });
});

describe('template with a CNAME', () => {
  const ALIAS =
    'template IN ANY foogle.example {\nanswer "foogle.example 60 IN CNAME Google.example"\n}';

  function chasing(line: string, text = ALIAS) {
    const asked: InternalQuestion[] = [];
    const services = fakeServices({
      resolve: (question) => {
        asked.push(question);
        const answer = [recordFromText(line)];
        const made = madeAnswer({ ...question, class: 1 }, { rcode: 0, flags: 0, answer }, 'x');
        return Promise.resolve(made);
      },
    });
    return { asked, ...template(text, '.', services) };
  }

  it('adds the records of its target', async () => {
    const { ask, asked } = chasing('google.example 30 A 192.0.2.7');
    const answer = await ask('foogle.example');
    assert.deepEqual(answerLines(answer), ['CNAME Google.example', 'A 192.0.2.7']);
    assert.deepEqual(
      asked.map(({ name, type, depth }) => [nameToText(name), type, depth]),
      [['google.example.', TYPE.A, 1]],
    );
    assert.equal(flagsOf(answer.wire) & FLAG.AA, FLAG.AA);
    assert.equal(answer.ttlOffsets.length, 2);
  });

  it('does not for other types, nor for an alias to itself', async () => {
    const { ask, asked } = chasing('google.example 30 A 192.0.2.7');
    await ask('foogle.example', 'TXT');
    const self = chasing(
      'a A 192.0.2.7',
      'template IN A . {\nanswer "{{ .Name }} CNAME {{ .Name }}"\n}',
    );
    await self.ask('A.example');
    assert.deepEqual([asked.length, self.asked.length], [0, 0]);
  });

  it('ends where look-ups cause each other', async () => {
    const { directive, block } = parseDirective(ALIAS);
    const services = fakeServices();
    const plugin = setup(directive, block, services);
    const query = queryFor('foogle.example', 'A');
    query.depth = 8;
    await assert.rejects(plugin.handle?.(query, new NextSpy().handler) as Promise<Answer>, {
      name: 'DnsError',
      rcode: 2,
    });
  });
});

describe('template refuses', () => {
  for (const text of [
    'template',
    'template IN',
    'template XX A',
    'template IN XX',
    'template IN A . {\nmatch (\n}',
    'template IN A . {\nmatch\n}',
    'template IN A . {\nanswer "{{ .Message }}"\n}',
    'template IN A . {\nanswer "{{ range .Match }}"\n}',
    'template IN A . {\nanswer "a A b"\n}',
    'template IN A . {\nrcode NOPE\n}',
    'template IN A . {\nederror x\n}',
    'template IN A . {\nvar x 1\n}',
    'template IN A . {\nexpr x\n}',
    'template IN A . {\nfoo\n}',
  ]) {
    it(JSON.stringify(text), () => {
      assert.throws(() => template(text), { name: 'ConfigError', message: /^\/etc\/Corefile:\d/ });
    });
  }
});

describe('types that a template can write', () => {
  for (const answer of [
    '{{ .Name }} 60 {{ .Class }} HTTPS 1 . alpn=h2,h3 ipv4hint=192.0.2.1',
    '{{ .Name }} {{ .Class }} {{ .Type }} 1 {{ .Name }}',
    '{{ .Name }} NULL \\# 1 00',
    '{{ .Name }} NULL {{ .Name }}',
    '{{ if true }}{{ .Name }} A 192.0.2.1{{ else }}{{ .Name }} NULL x{{ end }}',
  ])
    it(`accepts ${answer}`, () => void setUp(setup, `template IN MX {\nanswer "${answer}"\n}`));

  for (const [type, answer] of [
    ['NULL', '{{ .Name }} 60 IN NULL 00ff'],
    ['NULL', '{{ .Name }} {{ .Type }} 00ff'],
    ['ANY', '{{ .Name }} {{ .Class }} TYPE1234 00ff'],
    ['ANY', '{{ .Name }} IN ANY x'],
  ] as const)
    it(`refuses ${answer} for ${type}, with its place`, () => {
      assert.throws(
        () => setUp(setup, `template IN ${type} {\nanswer "${answer}"\n}`),
        /^ConfigError: \/etc\/Corefile:3: answer ".*": records of type \w+ are written as \\# LENGTH HEX/,
      );
    });
});
