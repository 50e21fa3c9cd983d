import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { describe, it } from 'node:test';
import { buildQuery } from '../../../../agent/dns/build.ts';
import { ednsOption } from '../../../../agent/dns/edns.ts';
import { CLASS, EDNS_OPTION, TYPE } from '../../../../agent/dns/iana.ts';
import { nameFromText } from '../../../../agent/dns/name.ts';
import { readQueryHead } from '../../../../agent/dns/query-head.ts';
import { setup } from '../../../../agent/plugins/nsid/setup.ts';
import { Query } from '../../../../agent/query/query.ts';
import { respond, responseCapacity } from '../../../../agent/server/respond.ts';
import { parseDirective } from '../../../support/corefiles/parse.ts';
import { ask, CLIENT, NextSpy } from '../../../support/dns/queries.ts';

function asked(options: Buffer | undefined, udpSizeBytes: number | undefined = 1_232): Query {
  const question = { name: nameFromText('a.example'), type: TYPE.A, class: CLASS.IN };
  const wire = buildQuery({ ...question, id: 1, flags: 0, dnssecOk: false, udpSizeBytes, options });
  const query = new Query();
  readQueryHead(wire, wire.length, query.head);
  query.receive(wire, wire.length, 'udp', { index: 0, label: '' }, 0, () => CLIENT);
  return query;
}

/** The NSID that the client gets. */
function response(text: string, query: Query): Buffer {
  const answer = ask(setup(parseDirective(text).directive), query, new NextSpy().handler);
  const out = Buffer.alloc(responseCapacity(answer, query.responseOptions));
  return out.subarray(0, respond(query, answer, 0, out));
}

const NSID = ednsOption(EDNS_OPTION.NSID, Buffer.alloc(0));
const COOKIE = ednsOption(EDNS_OPTION.COOKIE, Buffer.from('12345678'));

describe('nsid', () => {
  it('is sent to a client that asks for it', () => {
    const expected = ednsOption(EDNS_OPTION.NSID, Buffer.from('node 7'));
    const bytes = response('nsid node 7', asked(Buffer.concat([COOKIE, NSID])));
    assert.deepEqual(bytes.subarray(-expected.length), expected);
    assert.equal(bytes.readUInt16BE(bytes.length - expected.length - 2), expected.length);
  });

  it('is the name of the host without data', () => {
    assert.ok(response('nsid', asked(NSID)).includes(hostname()));
  });

  it('is sent to no other client', () => {
    for (const query of [asked(COOKIE), asked(undefined)])
      assert.ok(!response('nsid secret', query).includes('secret'));
    const plain = asked(undefined, undefined);
    plain.head.hasOpt = false;
    assert.ok(!response('nsid secret', plain).includes('secret'));
  });

  it('refuses more than 255 bytes', () => {
    const text = `nsid ${'x'.repeat(256)}`;
    assert.throws(() => setup(parseDirective(text).directive), { name: 'ConfigError' });
  });
});
