import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { buildQuery } from '../../../agent/dns/build.ts';
import { ednsOption, findOption } from '../../../agent/dns/edns.ts';
import { CLASS, TYPE } from '../../../agent/dns/iana.ts';
import { nameFromText } from '../../../agent/dns/name.ts';
import { QueryHead, readQueryHead } from '../../../agent/dns/query-head.ts';
import { madeAnswer, remade, wireAt } from '../../../agent/query/answer.ts';
import { Query } from '../../../agent/query/query.ts';
import { resolveFor } from '../../../agent/query/reenter.ts';
import { CLIENT, queryFor } from '../../support/dns/queries.ts';

const OPTION = ednsOption(0xffee, Buffer.from('data'));

describe('Query.derive', () => {
  it('changes the given fields, in a new message', () => {
    const query = queryFor('a.example', 'A', {
      transport: 'tcp',
      udpSizeBytes: 1_400,
      dnssecOk: true,
    });
    query.metadata = new Map([['a/b', 'c']]);
    query.budgetMs = 7;
    query.depth = 3;
    const derived = query.derive({ name: nameFromText('longer.b.example'), type: TYPE.TXT });
    assert.deepEqual(
      [derived.nameText, derived.type, derived.class, derived.id, derived.dnssecOk],
      ['longer.b.example.', TYPE.TXT, CLASS.IN, 4_711, true],
    );
    assert.deepEqual(
      [derived.transport, derived.budgetMs, derived.depth, derived.metadata, derived.client],
      ['tcp', 7, 3, query.metadata, CLIENT],
    );
    assert.equal(query.nameText, 'a.example.');
    const head = new QueryHead();
    assert.equal(readQueryHead(derived.wire, derived.length, head), 0);
    assert.equal(head.udpSizeBytes, 1_400);
  });

  it('has no OPT where the client sent none', () => {
    assert.equal(queryFor('a.example', 'A').derive({}).head.hasOpt, false);
  });

  it('keys answers by the options sent upstream, also on refreshes', () => {
    const query = queryFor('a.example', 'A');
    const derived = query.derive({ upstreamOptions: OPTION });
    assert.notEqual(derived.keyIn(1), query.keyIn(1));
    const { name, type, dnssecOk, checkingDisabled, server, upstreamOptions } = derived;
    const question = { name, type, dnssecOk, checkingDisabled, server, upstreamOptions };
    assert.equal(Query.internal(question, 0).keyIn(1), derived.keyIn(1));
    assert.equal(derived.derive({ type: TYPE.MX }).upstreamOptions, OPTION);
  });
});

describe('buildQuery', () => {
  it('adds options to the OPT, and none without an OPT', () => {
    const fields = { name: nameFromText('a'), type: 1, class: 1, id: 1, flags: 0, dnssecOk: false };
    const wire = buildQuery({ ...fields, udpSizeBytes: 1_232, options: OPTION });
    const head = new QueryHead();
    assert.equal(readQueryHead(wire, wire.length, head), 0);
    const found = findOption(wire, head.optRdataStart, head.optRdataEnd, 0xffee);
    assert.equal(wire.toString('latin1', found?.start, found?.end), 'data');
    const plain = buildQuery({ ...fields, udpSizeBytes: undefined, options: OPTION });
    assert.equal(plain.length, 12 + 3 + 4);
  });
});

describe('resolveFor', () => {
  it('resolves one level deeper, up to a bound', async () => {
    const query = queryFor('a.example', 'A', { class: CLASS.CH });
    const asked: unknown[] = [];
    const answer = madeAnswer(query, { rcode: 0, flags: 0 }, 'x');
    const resolve = (question: { depth?: number; class?: number }) => {
      asked.push([question.depth, question.class]);
      return Promise.resolve(answer);
    };
    assert.equal(await resolveFor(query, query.name, TYPE.A, { resolve }), answer);
    query.depth = 8;
    await assert.rejects(resolveFor(query, query.name, TYPE.A, { resolve }), { rcode: 2 });
    assert.deepEqual(asked, [[1, CLASS.CH]]);
  });
});

describe('wireAt and remade', () => {
  it('apply the age of an answer to its TTLs', () => {
    const record = { type: TYPE.A, ttlSeconds: 60, rdata: Uint8Array.of(192, 0, 2, 1) };
    const made = madeAnswer(queryFor('a', 'A'), { rcode: 0, flags: 0, answer: [record] }, 'x');
    const ttl = (wire: Buffer) => wire.readUInt32BE(made.ttlOffsets[0] as number);
    const born = made.with({ bornMs: 1_000 });
    assert.deepEqual(
      [ttl(wireAt(born, 11_500)), ttl(wireAt(made, 11_500)), ttl(made.wire)],
      [50, 60, 60],
    );
    assert.equal(ttl(wireAt(born.with({ ttlOverrideSeconds: 30 }), 99_000)), 30);
    const again = remade(born.with({ ttlOverrideSeconds: 30 }), wireAt(born, 11_500), 11_500);
    assert.deepEqual(
      [again.bornMs, again.ttlOverrideSeconds, again.ttlOffsets.length],
      [11_500, undefined, 1],
    );
  });
});
