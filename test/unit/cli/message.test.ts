/** Records as `nodens query` and `cache get` print them: what is printed means the bytes that were received. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { digText, readMessage, recordLine } from '../../../agent/cli/commands/message.ts';
import { buildResponse, type NewRecord } from '../../../agent/dns/build.ts';
import { FLAG } from '../../../agent/dns/header.ts';
import { RCODE, TYPE } from '../../../agent/dns/iana.ts';
import { nameFromText } from '../../../agent/dns/name.ts';
import { recordFromText } from '../../../agent/dns/text/record.ts';
import { RECORD_TEXTS } from '../../support/dns/record-texts.ts';

const QUESTION = { name: nameFromText('x.test.'), type: TYPE.ANY, class: 1 };

function messageWith(answer: readonly NewRecord[]): Buffer {
  return buildResponse(QUESTION, { rcode: RCODE.NOERROR, flags: FLAG.RA | FLAG.RD, answer });
}

/** The record as printed, and read again. */
function again(record: NewRecord): Uint8Array {
  const { records } = readMessage(messageWith([record]));
  return recordFromText(recordLine(records[0] as never)).rdata;
}

describe('a record that is printed', () => {
  for (const { type, data } of RECORD_TEXTS)
    it(`reads as the same bytes: ${type} ${data.slice(0, 40)}`, () => {
      const record = recordFromText(`x.test. 5 IN ${type} ${data}`);
      assert.deepEqual(Buffer.from(again(record)), Buffer.from(record.rdata));
    });

  it('reads as the same bytes whatever they are', () => {
    const types = fc.constantFrom(...Object.values(TYPE).filter((type) => type !== TYPE.OPT));
    fc.assert(
      fc.property(types, fc.uint8Array({ maxLength: 60 }), (type, rdata) => {
        const printed = Buffer.from(again({ type, ttlSeconds: 5, rdata }));
        // Names in RDATA may be compressed, so that other bytes mean the same.
        const isSame = printed.equals(Buffer.from(rdata)) || rdata.some((byte) => byte >= 0xc0);
        assert.ok(isSame, `${type} ${Buffer.from(rdata).toString('hex')}`);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('a record of a hostile upstream', () => {
  it('does not control the terminal', () => {
    const clear = Buffer.from('\x1b[2J');
    const texts = [clear, Buffer.concat([Buffer.of(0, clear.length), clear, clear])];
    for (const type of Object.values(TYPE).filter((one) => one !== TYPE.OPT))
      for (const text of texts) {
        const wire = messageWith([{ type, ttlSeconds: 5, rdata: text }]);
        const [record] = readMessage(wire).records;
        assert.doesNotMatch(record?.rdata ?? '', /[^ -~]/, record?.type);
      }
  });
});

describe('a message', () => {
  it('is printed as dig prints it', () => {
    const record = recordFromText('x.test. 300 IN A 192.0.2.1');
    const text = digText(readMessage(messageWith([record])));
    assert.equal(
      text,
      `;; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 0
;; flags: qr rd ra; QUERY: 1, ANSWER: 1, AUTHORITY: 0, ADDITIONAL: 0

;; QUESTION SECTION:
;x.test.\t\tIN\tANY

;; ANSWER SECTION:
x.test.\t300\tIN\tA\t192.0.2.1
`,
    );
  });

  it('that is malformed is refused', () => {
    assert.throws(() => readMessage(Buffer.alloc(5)), RangeError);
    const cut = messageWith([recordFromText('x.test. 300 IN A 192.0.2.1')]).subarray(0, -1);
    assert.throws(() => readMessage(cut), RangeError);
  });
});
