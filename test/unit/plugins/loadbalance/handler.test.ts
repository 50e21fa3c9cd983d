import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decode, type Answer as PacketRecord } from 'dns-packet';
import { buildResponse, type NewRecord } from '../../../../agent/dns/build.ts';
import { CLASS, RCODE, TYPE } from '../../../../agent/dns/iana.ts';
import { nameFromText } from '../../../../agent/dns/name.ts';
import type { Answer } from '../../../../agent/query/answer.ts';
import { answerLines, decoded, queryFor } from '../../../support/dns/queries.ts';
import { addresses, cycle, loadbalance, plain, relayed, THREE, through } from './balancing.ts';

describe('loadbalance round_robin', () => {
  it('returns every order of three addresses equally often', () => {
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

  it('does not change its input', () => {
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

  it('shuffles A and AAAA separately, in every section, behind their CNAME', () => {
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

  it('treats different letter case and pointers as one owner', () => {
    const record = (name: Uint8Array | undefined, byte: number): NewRecord => ({
      ...(name && { name }),
      type: TYPE.A,
      ttlSeconds: 1,
      rdata: Uint8Array.of(10, 0, 0, byte),
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

  it('does not change single records, other rcodes and empty answers', () => {
    for (const answer of [
      plain({ answers: addresses('www.example', '10.0.0.1') }),
      plain({ answers: THREE }, RCODE.NXDOMAIN),
      plain({}),
    ]) {
      assert.equal(through('loadbalance', answer), answer);
    }
  });

  it('passes errors on', () => {
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

  it('keeps the order where a pointer refers into an exchange', () => {
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
