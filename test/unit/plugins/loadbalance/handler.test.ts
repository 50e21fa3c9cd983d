import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decode, encode, type Answer as PacketRecord } from 'dns-packet';
import { buildResponse, type NewRecord } from '../../../../agent/dns/build.ts';
import { CLASS, RCODE, TYPE } from '../../../../agent/dns/iana.ts';
import { nameFromText } from '../../../../agent/dns/name.ts';
import { readReply } from '../../../../agent/dns/reply.ts';
import { setup } from '../../../../agent/plugins/loadbalance/setup.ts';
import { type Answer, relayedAnswer } from '../../../../agent/query/answer.ts';
import { parseDirective } from '../../../support/corefiles/parse.ts';
import { answerLines, ask, decoded, queryFor } from '../../../support/queries.ts';
import { type FakeServices, fakeServices } from '../../../support/services.ts';

function loadbalance(text: string, services: FakeServices = fakeServices()) {
  const { directive, block } = parseDirective(text);
  return setup(directive, block, services);
}

/** Numbers in [0, 1) in turn, over and over. */
function cycle(...numbers: number[]): () => number {
  let i = 0;
  return () => numbers[i++ % numbers.length] as number;
}

function relayed(wire: Buffer): Answer {
  const reply = readReply(wire);
  assert.ok(reply !== undefined);
  return relayedAnswer(reply, 'forward', 0);
}

type Sections = Partial<Record<'answers' | 'authorities' | 'additionals', PacketRecord[]>>;

/** An answer without name compression. */
function plain(sections: Sections, flags = 0): Answer {
  const questions = [{ type: 'A', name: 'www.example' }] as const;
  return relayed(encode({ type: 'response', flags, questions: [...questions], ...sections }));
}

function addresses(name: string, ...list: string[]): PacketRecord[] {
  return list.map((data) => ({ name, type: data.includes(':') ? 'AAAA' : 'A', ttl: 60, data }));
}

function through(text: string, answer: Answer, random = () => 0): Answer {
  const plugin = loadbalance(text, fakeServices({ random }));
  return ask(plugin, queryFor('www.example', 'A'), () => answer);
}

const THREE = addresses('www.example', '10.0.0.1', '10.0.0.2', '10.0.0.3');

describe('loadbalance round_robin', () => {
  it('gives every order of three addresses, each alike', () => {
    const seen = new Map<string, number>();
    for (const a of [0, 0.4, 0.8]) {
      for (const b of [0.2, 0.7]) {
        const order = answerLines(through('loadbalance', plain({ answers: THREE }), cycle(a, b)));
        seen.set(order.join(), (seen.get(order.join()) ?? 0) + 1);
      }
    }
    assert.equal(seen.size, 6);
    assert.deepEqual([...seen.values()], [1, 1, 1, 1, 1, 1]);
  });

  it('leaves the bytes it was given alone', () => {
    const answer = plain({ answers: THREE });
    const before = Buffer.from(answer.wire);
    assert.notEqual(through('loadbalance', answer), answer);
    assert.deepEqual(answer.wire, before);
  });

  it('moves TTLs with their records and keeps every other field', () => {
    const answers = THREE.map((record, i) => ({ ...record, ttl: i + 1 }) as PacketRecord);
    const answer = plain({ answers });
    const after = through('loadbalance', answer);
    const ttls = (packet: Answer) =>
      new Map(decoded(packet).answers?.map((r) => ['data' in r && r.data, 'ttl' in r && r.ttl]));
    assert.deepEqual(ttls(after), ttls(answer));
    assert.deepEqual(after.ttlOffsets, answer.ttlOffsets);
    assert.equal(after.bornMs, answer.bornMs);
  });

  it('shuffles A and AAAA apart, in every section, behind their CNAME', () => {
    const cname: PacketRecord = { name: 'www.example', type: 'CNAME', ttl: 5, data: 'x.example' };
    const answer = plain({
      answers: [cname, ...addresses('x.example', '10.0.0.1', '10.0.0.2', '::1', '::2')],
      additionals: addresses('ns.example', '10.0.1.1', '10.0.1.2'),
    });
    const after = through('loadbalance', answer);
    assert.deepEqual(answerLines(after), [
      'CNAME x.example',
      'A 10.0.0.2',
      'A 10.0.0.1',
      'AAAA ::2',
      'AAAA ::1',
    ]);
    assert.deepEqual(
      decoded(after).additionals?.map((record) => 'data' in record && record.data),
      ['10.0.1.2', '10.0.1.1'],
    );
  });

  it('does not exchange addresses between names', () => {
    const answers = [...addresses('a.example', '10.0.0.1'), ...addresses('b.example', '10.0.0.2')];
    const answer = plain({ answers });
    assert.equal(through('loadbalance', answer), answer);
  });

  it('does not exchange addresses between classes', () => {
    const [first, second] = THREE as [PacketRecord, PacketRecord];
    const answer = plain({ answers: [first, { ...second, class: 'CH' } as PacketRecord] });
    assert.equal(through('loadbalance', answer), answer);
  });

  it('does not exchange addresses between sections', () => {
    const answer = plain({
      answers: addresses('www.example', '10.0.0.1'),
      authorities: addresses('www.example', '10.0.0.2'),
      additionals: addresses('www.example', '10.0.0.3'),
    });
    assert.equal(through('loadbalance', answer), answer);
  });

  it('sees one owner behind different spellings and pointers', () => {
    const record = (name: Uint8Array | undefined, octet: number): NewRecord => ({
      ...(name && { name }),
      type: TYPE.A,
      ttlSeconds: 1,
      rdata: Uint8Array.of(10, 0, 0, octet),
    });
    const name = nameFromText('www.example');
    const wire = buildResponse(
      { name, type: TYPE.A, class: CLASS.IN },
      {
        rcode: RCODE.NOERROR,
        flags: 0,
        answer: [record(undefined, 1), record(nameFromText('WWW.Example'), 2)],
      },
    );
    assert.deepEqual(answerLines(through('loadbalance', relayed(wire))), [
      'A 10.0.0.2',
      'A 10.0.0.1',
    ]);
  });

  it('passes single records, other rcodes and empty answers as they are', () => {
    for (const answer of [
      plain({ answers: addresses('www.example', '10.0.0.1') }),
      plain({ answers: THREE }, RCODE.NXDOMAIN),
      plain({}),
    ]) {
      assert.equal(through('loadbalance', answer), answer);
    }
  });

  it('lets errors pass', () => {
    const plugin = loadbalance('loadbalance');
    const boom = new Error('boom');
    assert.throws(
      () =>
        plugin.handle?.(queryFor('a', 'A'), () => {
          throw boom;
        }),
      boom,
    );
  });
});

describe('loadbalance and MX', () => {
  const mx = (exchange: Uint8Array): NewRecord => ({
    type: TYPE.MX,
    ttlSeconds: 60,
    rdata: Uint8Array.of(0, 10, ...exchange),
  });
  const question = { name: nameFromText('www.example'), type: TYPE.MX, class: CLASS.IN };
  const respond = (answer: NewRecord[], additional: NewRecord[] = []): Answer =>
    relayed(buildResponse(question, { rcode: RCODE.NOERROR, flags: 0, answer, additional }));
  const exchanges = (answer: Answer): unknown[] =>
    (decode(answer.wire).answers ?? []).map(
      (record) => record.type === 'MX' && record.data.exchange,
    );
  const equal = [mx(nameFromText('a.example')), mx(nameFromText('b.example'))];

  it('shuffles exchanges of one length', () => {
    assert.deepEqual(exchanges(through('loadbalance', respond(equal))), ['b.example', 'a.example']);
  });

  it('follows pointers to names outside', () => {
    const short = (letter: string) => mx(Uint8Array.of(1, letter.charCodeAt(0), 0xc0, 16));
    const after = through('loadbalance', respond([short('a'), short('b')]));
    assert.deepEqual(exchanges(after), ['b.example', 'a.example']);
  });

  it('keeps the order where lengths differ', () => {
    const answer = respond([mx(nameFromText('a.example')), mx(nameFromText('bb.example'))]);
    assert.equal(through('loadbalance', answer), answer);
  });

  it('keeps the order where a pointer leads into an exchange', () => {
    const firstRdata = 12 + question.name.length + 4 + 12;
    const pointer = Uint8Array.of(0xc0, firstRdata + 2);
    const glue = { name: pointer, type: TYPE.A, ttlSeconds: 1, rdata: Uint8Array.of(1, 2, 3, 4) };
    const answer = respond(equal, [glue]);
    assert.equal(decoded(answer).additionals?.[0]?.name, 'a.example');
    assert.equal(through('loadbalance', answer), answer);
  });
});

describe('loadbalance prefer', () => {
  it('puts the networks first in their order, shuffled within', () => {
    const list = ['192.0.2.1', '10.0.0.1', '172.16.0.1', '10.0.0.2'];
    const answer = plain({ answers: addresses('www.example', ...list) });
    const after = through('loadbalance {\nprefer 172.16.0.0/12 10.0.0.0/8\n}', answer);
    assert.deepEqual(answerLines(after), [
      'A 172.16.0.1',
      'A 10.0.0.1',
      'A 10.0.0.2',
      'A 192.0.2.1',
    ]);
  });
});

describe('loadbalance weighted', () => {
  const WEIGHTS =
    '# mine\nWWW.example\n10.0.0.1 3\n10.0.0.3 2 # two\n\nother.example\n10.0.0.2 255\n';
  const withFile = (random = () => 0, text = WEIGHTS): FakeServices => {
    const services = fakeServices({ random });
    services.texts.set('/weights', text);
    return services;
  };
  const order = (plugin: ReturnType<typeof loadbalance>): string[] =>
    answerLines(ask(plugin, queryFor('www.example', 'A'), () => plain({ answers: THREE })));

  for (const [random, first] of [
    [0, '1'],
    [0.49, '1'],
    [0.51, '2'],
    [0.66, '2'],
    [0.67, '3'],
    [0.999, '3'],
  ] as const) {
    it(`draws 10.0.0.${first} at ${random} of weights 3, 1, 2`, () => {
      const plugin = loadbalance(
        'loadbalance weighted /weights',
        withFile(() => random),
      );
      assert.equal(order(plugin)[0], `A 10.0.0.${first}`);
    });
  }

  it('reads the file again when it changes, and keeps weights that were good', () => {
    const services = withFile(() => 0.5);
    const plugin = loadbalance('loadbalance weighted /weights', services);
    plugin.start?.();
    services.texts.set('/weights', 'www.example\n10.0.0.3 255\n');
    services.touch('/weights');
    assert.equal(order(plugin)[0], 'A 10.0.0.3');
    services.texts.set('/weights', 'www.example\n10.0.0.1 256\n');
    services.touch('/weights');
    assert.equal(order(plugin)[0], 'A 10.0.0.3');
    assert.match(services.log.records[0]?.message ?? '', /\/weights:2: "256" is not a weight/);
    plugin.stop?.();
    services.texts.set('/weights', 'www.example\n10.0.0.1 255\n');
    services.touch('/weights');
    assert.equal(order(plugin)[0], 'A 10.0.0.3');
  });

  it('starts without the file if it may come', () => {
    const services = fakeServices();
    order(loadbalance('loadbalance weighted /weights', services));
    assert.equal(services.log.records[0]?.level, 'warn');
    assert.throws(() => loadbalance('loadbalance weighted /weights {\nreload 0s\n}', services), {
      name: 'ConfigError',
      message: /^\/etc\/Corefile:2: weight file \/weights cannot be read: ENOENT/,
    });
  });

  for (const [text, message] of [
    ['10.0.0.1 3', /:1: an address needs a domain/],
    ['a.example\n10.0.0.1 0', /:2: "0" is not a weight/],
    ['a.example\n10.0.0.1 1.5', /:2: "1.5" is not a weight/],
    ['a.example\n10.0.0 1', /:2: "10.0.0" is not an IP address/],
    ['a.example\n10.0.0.1 1 2', /:2: "2" is one word too many/],
    ['a..example', /:1: "a..example" is not a domain name/],
  ] as const) {
    it(`refuses the weights ${JSON.stringify(text)}`, () => {
      const services = withFile(() => 0, text);
      assert.throws(() => loadbalance('loadbalance weighted /weights', services), {
        name: 'ConfigError',
        message,
      });
    });
  }
});

describe('loadbalance refuses', () => {
  for (const text of [
    'loadbalance sideways',
    'loadbalance round_robin /weights',
    'loadbalance weighted',
    'loadbalance weighted /a /b',
    'loadbalance {\nreload 5s\n}',
    'loadbalance {\nprefer\n}',
    'loadbalance {\nprefer here\n}',
  ]) {
    it(JSON.stringify(text), () => {
      assert.throws(() => loadbalance(text), { name: 'ConfigError' });
    });
  }
});
