/** Readers of DNS messages: queries of clients and replies of upstreams. */
import assert from 'node:assert/strict';
import { buildResponse } from '../../../agent/dns/build.ts';
import { simpleQuery } from '../../../agent/dns/client/simple-query.ts';
import { FLAG, flagsOf, HEADER_BYTES, idOf, qdcountOf, u16 } from '../../../agent/dns/header.ts';
import { CLASS, RCODE, TYPE } from '../../../agent/dns/iana.ts';
import { nameFromText, readName, skipName } from '../../../agent/dns/name.ts';
import { QueryHead, readQueryHead, VERDICT } from '../../../agent/dns/query-head.ts';
import { rebuild } from '../../../agent/dns/rebuild.ts';
import { readRecords } from '../../../agent/dns/records.ts';
import { type Asked, acceptReply } from '../../../agent/dns/reply/accept.ts';
import { truncateAt } from '../../../agent/dns/truncate.ts';
import { Answer, ttlOffsetsOf } from '../../../agent/query/answer.ts';
import type { Query } from '../../../agent/query/query.ts';
import { NONSENSE } from '../../../agent/server/query-processor.ts';
import { questionFor, readAnswer } from '../../../init/endpoints/ask.ts';
import { CLIENT } from '../../support/dns/queries.ts';
import { packetsIn } from '../../support/packets/read.ts';
import { fixtureFor } from '../../support/server/fixture.ts';
import type { Target } from '../loop.ts';

const packets = (...folders: string[]): Buffer[] =>
  folders.flatMap((folder) => packetsIn(folder).map(({ bytes }) => bytes));

const REPLIES = packets(
  ...['replies/malformed', 'replies/malformed-records', 'replies/readable', 'replies/unrelated'],
);
const QUERIES = packets(
  ...['queries/answer', 'queries/badvers', 'queries/formerr', 'queries/notimp', 'queries/silence'],
);
const OUT_BYTES = 65_535 + 256;
const out = Buffer.alloc(OUT_BYTES);

/** As many records as the number of the type, so that some answers are too long for their client. */
function answerTo({ head }: Query): Answer {
  const question = {
    name: head.name.slice(0, head.nameLength),
    type: head.type,
    class: head.class,
  };
  const rdata = Buffer.alloc(250, 249);
  const record = { type: TYPE.TXT, ttlSeconds: 60, rdata };
  const answer = new Array<typeof record>(head.type % 16).fill(record);
  const wire = buildResponse(question, { rcode: RCODE.NOERROR, flags: FLAG.RA, answer });
  const ttlOffsets = ttlOffsetsOf(readRecords(wire) ?? []);
  return new Answer({ wire, ttlOffsets, rcode: RCODE.NOERROR, plugin: 'test', bornMs: 0 });
}

const fixture = fixtureFor(answerTo, { anyClass: true });
const ways = [fixture.processor('udp'), fixture.processor('tcp')];

/** A message from a client: the result depends on its own bytes only, and any answer is an answer to it. */
const query: Target = {
  seeds: QUERIES,
  maxBytes: 1_500,
  run: (input) => {
    const head = new QueryHead();
    const verdict = readQueryHead(input, input.length, head);
    const longer = new QueryHead();
    const behind = Buffer.concat([input, Buffer.alloc(64, 0xff)]);
    assert.equal(readQueryHead(behind, input.length, longer), verdict);
    assert.deepEqual(longer, head);
    if (verdict === VERDICT.answer) {
      const name = head.name.subarray(0, head.nameLength);
      assert.equal(skipName(name, 0, name.length), name.length);
      assert.ok(head.questionEnd <= input.length && head.optRdataEnd <= input.length);
    }
    for (const way of ways) {
      let length = way.receive(
        input,
        input.length,
        0,
        () => CLIENT,
        out,
        (late) => {
          length = late.copy(out);
        },
      );
      way.flushDurations();
      assert.equal(fixture.panics.value, 0);
      if (length === 0 || length === NONSENSE) continue;
      assert.equal(idOf(out), idOf(input));
      assert.ok((flagsOf(out) & FLAG.QR) !== 0);
      assert.notEqual(readRecords(out, length), undefined);
    }
    fixture.requestMetrics.recorded.length = 0;
    fixture.dropped.recorded.length = 0;
    fixture.requestMetrics.durations.length = 0;
  },
};

/** The question of a message, or another where it has none; undefined where it has one that cannot be read. */
function askedIn(wire: Buffer): Asked | undefined {
  const dnssecOk = (wire[1] ?? 0) % 2 === 1;
  if (wire.length < HEADER_BYTES || qdcountOf(wire) === 0)
    return { name: nameFromText('www.example.org'), type: TYPE.A, class: CLASS.IN, dnssecOk };
  const end = skipName(wire, HEADER_BYTES, wire.length);
  const name = readName(wire, HEADER_BYTES, wire.length);
  if (name === undefined || end !== HEADER_BYTES + name.length || end + 4 > wire.length)
    return undefined;
  return { name, type: u16(wire, end), class: u16(wire, end + 2), dnssecOk };
}

/** A reply: it is accepted or not, it is not modified, and the accepted part is accepted again. */
const reply: Target = {
  seeds: REPLIES,
  run: (input) => {
    const before = Buffer.from(input);
    const asked = askedIn(input);
    // It is no reply to the question, and is not read.
    if (asked === undefined) return;
    for (const spelling of [undefined, asked.name]) {
      const accepted = acceptReply(input, asked, spelling);
      assert.ok(input.equals(before));
      if (typeof accepted === 'string') continue;
      const { wire, records } = accepted;
      assert.ok(wire.length <= 65_535);
      assert.deepEqual(readRecords(wire), records);
      const again = acceptReply(wire, asked, spelling);
      assert.ok(typeof again !== 'string', `refused the second time: ${String(again)}`);
      assert.ok(again.wire.equals(wire));
      assertCut(wire);
    }
  },
};

/** Truncated to any size it is still a message. */
function assertCut(wire: Buffer): void {
  const questionEnd = skipName(wire, HEADER_BYTES, wire.length) + 4;
  for (const size of [512, 1_232]) {
    const copy = Buffer.from(wire);
    const end = truncateAt(copy, questionEnd, copy.length, size);
    assert.ok(end <= Math.max(size, questionEnd));
    assert.notEqual(readRecords(copy, end), undefined);
  }
}

/** The rewriter: it writes a complete message or none, and does not modify its input. */
const rewritten: Target = {
  seeds: REPLIES,
  run: (input) => {
    if (input.length < HEADER_BYTES) return;
    const before = Buffer.from(input);
    const longer = Buffer.from('\x0blonger-name\x07example\x00', 'latin1');
    const changes = [
      {},
      { owner: () => longer, target: () => longer },
      { keeps: ({ type }: { readonly type: number }) => type !== TYPE.A },
    ];
    for (const change of changes) {
      const wire = rebuild(input, change);
      assert.ok(input.equals(before));
      if (wire === undefined) continue;
      assert.ok(wire.length <= 65_535);
      assert.notEqual(readRecords(wire), undefined);
      assert.ok(rebuild(wire, change)?.equals(wire) === true);
    }
  },
};

const ENDPOINTS_NAME = 'dns-pods.kube-system.svc.cluster.local';
const SRV_QUESTION = questionFor(ENDPOINTS_NAME, 'SRV');
const SRV_QUERY = simpleQuery(7, SRV_QUESTION, FLAG.RD);

/** Replies to init's queries for endpoints: a reply to its question, or none. */
const endpoints: Target = {
  seeds: REPLIES.map((bytes) => Buffer.concat([SRV_QUERY, bytes.subarray(HEADER_BYTES)])),
  run: (input) => {
    for (const id of [undefined, 7]) {
      if (id !== undefined && input.length > 4) input.writeUInt32BE((id << 16) | 0x8180);
      const read = readAnswer(7, SRV_QUESTION, input);
      assert.ok((read?.records ?? []).length <= input.length);
    }
  },
};

export const MESSAGES = { query, reply, rewritten, endpoints };
