import { strict as assert } from 'node:assert';
import { describe, it } from 'node:test';
import { FLAG } from '../../../agent/dns/header.ts';
import { RCODE } from '../../../agent/dns/iana.ts';
import { readReply } from '../../../agent/dns/reply.ts';
import type { Answer } from '../../../agent/query/answer.ts';
import { type Client, clientAt, type Query } from '../../../agent/query/query.ts';
import { NONSENSE, PENDING } from '../../../agent/server/query-processor.ts';
import { DROPPED } from '../../../agent/server/respond.ts';
import { settle } from '../../support/fake-clock.ts';
import {
  answerTo,
  type Fixture,
  fixtureFor,
  queryWire,
  txtAnswer,
} from '../../support/server/fixture.ts';

const CLIENT: Client = clientAt('10.244.0.7', 40_053);
const QUERY = queryWire('a.test', 7);

interface Received {
  readonly length: number;
  readonly out: Buffer;
  readonly delivered: { response: Buffer; query: Query }[];
}

function receive(
  fixture: Fixture,
  wire: Buffer,
  outBytes = 4_096,
  processor = fixture.processor('udp'),
): Received {
  const out = Buffer.alloc(outBytes);
  const delivered: Received['delivered'] = [];
  const deliver = (response: Buffer, query: Query): void =>
    void delivered.push({ response: Buffer.from(response), query });
  const length = processor.receive(wire, wire.length, 0, () => CLIENT, out, deliver);
  return { length, out: out.subarray(0, Math.max(0, length)), delivered };
}

function counted(fixture: Fixture): number[] {
  const { tooShort, notAQuery, formErr, notImp, badVers } = fixture.counters;
  return [tooShort, notAQuery, formErr, notImp, badVers].map((counter) => counter.value);
}

function edited(wire: Buffer, change: (copy: Buffer) => void): Buffer {
  const copy = Buffer.from(wire);
  change(copy);
  return copy;
}

describe('a message that is no question', () => {
  const unasked = () => {
    throw new Error('the chain was asked');
  };

  it('of fewer than 12 bytes is dropped and counted', () => {
    const fixture = fixtureFor(unasked);
    for (const bytes of [0, 1, 11])
      assert.equal(receive(fixture, QUERY.subarray(0, bytes)).length, NONSENSE);
    assert.deepEqual(counted(fixture), [3, 0, 0, 0, 0]);
  });

  it('that is a response is dropped and counted', () => {
    const fixture = fixtureFor(unasked);
    const { length } = receive(
      fixture,
      edited(QUERY, (copy) => copy.writeUInt16BE(FLAG.QR, 2)),
    );
    assert.equal(length, NONSENSE);
    assert.deepEqual(counted(fixture), [0, 1, 0, 0, 0]);
  });

  it('that cannot be read is a format error without question', () => {
    const fixture = fixtureFor(unasked);
    const { out } = receive(fixture, QUERY.subarray(0, QUERY.length - 1));
    assert.equal(out.toString('hex'), '000781010000000000000000');
    assert.deepEqual(counted(fixture), [0, 0, 1, 0, 0]);
  });

  it('of another opcode is not implemented, the opcode echoed', () => {
    const fixture = fixtureFor(unasked);
    const { out } = receive(
      fixture,
      edited(QUERY, (copy) => copy.writeUInt16BE(0x2000, 2)),
    );
    assert.equal(out.toString('hex'), '0007a0040000000000000000');
    assert.deepEqual(counted(fixture), [0, 0, 0, 1, 0]);
  });

  it('of another EDNS version is BADVERS with our OPT and its question', () => {
    const fixture = fixtureFor(unasked);
    const wire = queryWire('a.test', 7, 1232);
    const { out } = receive(
      fixture,
      edited(wire, (copy) => copy.writeUInt8(1, wire.length - 5)),
    );
    assert.equal(readReply(out)?.rcode, RCODE.BADVERS);
    assert.equal(out.readUInt16BE(4), 1);
    assert.equal(out[out.length - 5], 0, 'our own version');
    assert.deepEqual(counted(fixture), [0, 0, 0, 0, 1]);
  });
});

describe('a question answered at once', () => {
  it('has its response in the output buffer, counted once', () => {
    const fixture = fixtureFor(answerTo);
    const { length, out, delivered } = receive(fixture, QUERY);
    assert.equal(readReply(out)?.records.length, 1);
    assert.deepEqual(delivered, []);
    assert.deepEqual(fixture.requestMetrics.recorded, [
      { rcode: 0, bytes: length, plugin: 'test' },
    ]);
    assert.deepEqual(counted(fixture), [0, 0, 0, 0, 0]);
  });

  it('has the duration of its batch, which is measured once for each series', async () => {
    const fixture = fixtureFor(answerTo);
    const processor = fixture.processor('udp');
    const out = Buffer.alloc(512);
    const take = (): void => {
      const nowMs = fixture.clock.nowMs();
      processor.receive(QUERY, QUERY.length, nowMs, () => CLIENT, out, assert.fail);
    };
    take();
    take();
    assert.deepEqual(fixture.requestMetrics.durations, []);
    await fixture.clock.advance(3);
    processor.flushDurations();
    processor.flushDurations();
    assert.deepEqual(fixture.requestMetrics.durations, [[3, 2]]);
  });

  it('is sent separately where the output buffer is too small for it', () => {
    const fixture = fixtureFor(() => txtAnswer('a.test.', 17, 100));
    const roomy = fixture.processor('udp', 4_096);
    const { length, delivered } = receive(fixture, queryWire('a.test', 7, 4096), 512, roomy);
    assert.equal(length, 0);
    assert.deepEqual(
      delivered.map(({ response }) => response.length),
      [24 + 17 * 112 + 11],
    );
    assert.deepEqual(
      fixture.requestMetrics.recorded.map(({ bytes }) => bytes),
      [24 + 17 * 112 + 11],
    );
  });

  for (const [maxUdpBytes, count] of [
    [4_096, 36],
    [1_232, 10],
  ] as const) {
    it(`has at most the ${maxUdpBytes} bytes of its listener, and announces that, whatever size the client accepts`, () => {
      const fixture = fixtureFor(() => txtAnswer('a.test.', 100, 100));
      const processor = fixture.processor('udp', maxUdpBytes);
      const { delivered } = receive(fixture, queryWire('a.test', 7, 65_535), 4_096, processor);
      const out = delivered[0]?.response ?? Buffer.alloc(0);
      const reply = readReply(out);
      assert.deepEqual([reply?.truncated, reply?.records.length], [true, count]);
      assert.ok(out.length <= maxUdpBytes, `${out.length}`);
      assert.equal(out.readUInt16BE(out.length - 8), maxUdpBytes);
    });
  }

  it('may have no response', () => {
    const { length, delivered } = receive(
      fixtureFor(() => DROPPED),
      QUERY,
    );
    assert.equal(length, 0);
    assert.deepEqual(delivered, []);
  });

  it('does not see state of the query before', () => {
    const seen: unknown[] = [];
    const fixture = fixtureFor((query) => {
      seen.push([query.maxUdpBytes, query.nameText, query.keyIn(1).length, query.client.port]);
      query.maxUdpBytes = 600;
      return answerTo(query);
    });
    const processor = fixture.processor('udp');
    receive(fixture, QUERY, 4_096, processor);
    receive(fixture, queryWire('bc.test', 8), 4_096, processor);
    assert.deepEqual(seen, [
      [1_232, 'a.test.', 15, 40_053],
      [1_232, 'bc.test.', 16, 40_053],
    ]);
  });
});

describe('a question answered later', () => {
  function parked(): {
    fixture: Fixture;
    asked: { query: Query; resolve: (answer: Answer) => void }[];
  } {
    const asked: { query: Query; resolve: (answer: Answer) => void }[] = [];
    const fixture = fixtureFor((query) => new Promise((resolve) => asked.push({ query, resolve })));
    return { fixture, asked };
  }

  it('outlives the buffer of its query and is delivered exactly once', async () => {
    const { fixture, asked } = parked();
    const processor = fixture.processor('udp');
    const wire = Buffer.from(QUERY);
    const { length, delivered } = receive(fixture, wire, 4_096, processor);
    assert.equal(length, PENDING);
    assert.equal(processor.pending, 1);
    wire.fill(0xff);
    receive(fixture, queryWire('other.test', 9), 4_096, processor);
    assert.equal(processor.pending, 2);
    const [first, second] = asked;
    assert.ok(first !== undefined && second !== undefined);
    assert.equal(first.query.nameText, 'a.test.');
    assert.equal(second.query.nameText, 'other.test.');
    first.resolve(answerTo(first.query));
    await settle();
    assert.equal(processor.pending, 1);
    assert.equal(delivered.length, 1);
    const [{ response, query }] = delivered as [Received['delivered'][0]];
    assert.equal(response.readUInt16BE(0), 7);
    assert.deepEqual(response.subarray(12, 24), QUERY.subarray(12, 24), 'its own question');
    assert.equal(query.client, CLIENT);
    assert.deepEqual(fixture.requestMetrics.recorded, [
      { rcode: 0, bytes: response.length, plugin: 'test' },
    ]);
  });

  it('ends without a response when the query is dropped', async () => {
    const { fixture, asked } = parked();
    const processor = fixture.processor('udp');
    const { delivered } = receive(fixture, QUERY, 4_096, processor);
    asked[0]?.resolve(DROPPED);
    await settle();
    assert.deepEqual(
      delivered.map(({ response }) => response.length),
      [0],
    );
    assert.equal(processor.pending, 0);
  });

  it('is SERVFAIL when the chain rejects, and TTLs are those of the moment of sending', async () => {
    const failing = fixtureFor(() => Promise.reject(new Error('broken')));
    const { delivered } = receive(failing, QUERY);
    await settle();
    assert.equal(
      readReply((delivered[0] as Received['delivered'][0]).response)?.rcode,
      RCODE.SERVFAIL,
    );
    assert.equal(failing.panics.value, 1);

    const { fixture, asked } = parked();
    const late = receive(fixture, QUERY);
    const answer = txtAnswer('a.test.', 1, 4, fixture.clock.nowMs());
    await fixture.clock.advance(3_000);
    asked[0]?.resolve(answer);
    await settle();
    const [{ response }] = late.delivered as [Received['delivered'][0]];
    assert.equal(readReply(response)?.records[0]?.ttlSeconds, 57);
  });
});
