/** Records in presentation format: any name survives, and any text gives a record or a RangeError. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encode } from 'dns-packet';
import fc from 'fast-check';
import { nameToText } from '../../../agent/dns/name.ts';
import { recordFromText } from '../../../agent/dns/text/record.ts';
import { compile } from '../../../agent/plugins/template/compile.ts';
import { TemplateError } from '../../../agent/plugins/template/values.ts';
import { BOUNDED, wireName } from '../../support/dns/messages.ts';

const byte = fc.integer({ min: 0, max: 255 });
const word = fc.integer({ min: 0, max: 65_535 });
const hex = fc.uint8Array({ minLength: 1, maxLength: 40 }).map((bytes) => Buffer.from(bytes));
const label = fc.stringMatching(/^[a-z0-9]{1,12}$/);
const host = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'));
const string = fc.uint8Array({ maxLength: 255 }).map((bytes) => Buffer.from(bytes));
/** A character-string with all necessary escapes, and some unnecessary ones. */
const quoted = (bytes: Buffer): string =>
  `"${[...bytes].map((byte) => (byte > 0x22 && byte < 0x5b ? String.fromCharCode(byte) : `\\${String(byte).padStart(3, '0')}`)).join('')}"`;
const types = fc.uniqueArray(
  fc.constantFrom('A', 'NS', 'MX', 'TXT', 'AAAA', 'SRV', 'CAA', 'TLSA'),
  {
    minLength: 1,
  },
);

/** Text of a record, and its data as dns-packet encodes it. */
const others: fc.Arbitrary<[text: string, answer: Record<string, unknown>]> = fc.oneof(
  fc
    .tuple(word, byte, byte, hex)
    .map(
      ([keyTag, algorithm, digestType, digest]) =>
        [
          `DS ${keyTag} ${algorithm} ${digestType} ${digest.toString('hex').replace(/(.{7})/g, '$1 ')}`,
          { type: 'DS', data: { keyTag, algorithm, digestType, digest } },
        ] as [string, Record<string, unknown>],
    ),
  fc
    .tuple(byte, byte, byte, hex)
    .map(
      ([usage, selector, matchingType, certificate]) =>
        [
          `TLSA ${usage} ${selector} ${matchingType} ${certificate.toString('hex')}`,
          { type: 'TLSA', data: { usage, selector, matchingType, certificate } },
        ] as [string, Record<string, unknown>],
    ),
  fc
    .tuple(word, byte, hex)
    .map(
      ([flags, algorithm, key]) =>
        [
          `DNSKEY ${flags} 3 ${algorithm} ${key.toString('base64').replace(/(.{5})/g, '$1 ')}`,
          { type: 'DNSKEY', data: { flags, algorithm, key } },
        ] as [string, Record<string, unknown>],
    ),
  fc
    .tuple(word, word, word, host)
    .map(
      ([priority, weight, port, target]) =>
        [
          `SRV ${priority} ${weight} ${port} ${target}.`,
          { type: 'SRV', data: { priority, weight, port, target } },
        ] as [string, Record<string, unknown>],
    ),
  fc
    .array(string, { minLength: 1, maxLength: 3 })
    .map(
      (data) =>
        [`TXT ${data.map(quoted).join(' ')}`, { type: 'TXT', data }] as [
          string,
          Record<string, unknown>,
        ],
    ),
  fc
    .tuple(host, types)
    .map(
      ([nextDomain, rrtypes]) =>
        [
          `NSEC ${nextDomain} ${rrtypes.join(' ')}`,
          { type: 'NSEC', data: { nextDomain, rrtypes } },
        ] as [string, Record<string, unknown>],
    ),
  fc
    .tuple(host, host)
    .map(
      ([mbox, txt]) =>
        [`RP ${mbox} ${txt}`, { type: 'RP', data: { mbox, txt } }] as [
          string,
          Record<string, unknown>,
        ],
    ),
);

describe('recordFromText', () => {
  it('has the same result as another implementation', () => {
    fc.assert(
      fc.property(others, ([text, answer]) => {
        const encoded = encode({ type: 'response', answers: [{ name: 'a', ...answer }] } as never);
        const { rdata } = recordFromText(`a ${text}`);
        const tail = encoded.subarray(encoded.length - rdata.length);
        assert.equal(Buffer.from(rdata).toString('hex'), tail.toString('hex'), text);
        const length = encoded.readUInt16BE(encoded.length - rdata.length - 2);
        assert.equal(length, rdata.length, text);
      }),
      BOUNDED,
    );
  });

  it('accepts a name as nameToText writes it, as owner and as data', () => {
    fc.assert(
      fc.property(wireName, wireName, (owner, target) => {
        const text = `${nameToText(owner)} 60 IN PTR ${nameToText(target)}`;
        const record = recordFromText(text);
        assert.deepEqual(record.name, owner);
        assert.deepEqual(new Uint8Array(record.rdata), target);
      }),
      BOUNDED,
    );
  });

  it('handles any text', () => {
    const words = fc.constantFrom(
      'a',
      '60',
      'IN',
      'TXT',
      'SOA',
      '"',
      '\\',
      '(',
      ')',
      ';',
      '\\#',
      '1w',
      'é',
    );
    const text = fc.oneof(
      fc.string(),
      fc.array(words).map((list) => list.join(' ')),
    );
    fc.assert(
      fc.property(text, (line) => {
        try {
          recordFromText(line);
        } catch (error) {
          assert.ok(error instanceof RangeError, String(error));
        }
      }),
      BOUNDED,
    );
  });
});

describe('compile', () => {
  it('handles any template', () => {
    const words = fc.constantFrom(
      ...[
        '{{',
        '}}',
        '{{-',
        '-}}',
        '.Name',
        '.',
        '$x',
        ':=',
        '|',
        '(',
        ')',
        'if',
        'else',
        'end',
        'with',
      ],
      ...['index', 'printf', 'slice', '"%s"', '5', 'eq', '/*', '*/', 'text', '$', '"\\'],
    );
    const source = fc.array(words, { maxLength: 20 }).map((list) => list.join(' '));
    fc.assert(
      fc.property(source, (text) => {
        try {
          compile(text, ['Name']).fill(new Map([['Name', 'a.example.']]));
        } catch (error) {
          assert.ok(error instanceof RangeError || error instanceof TemplateError, String(error));
        }
      }),
      { ...BOUNDED, numRuns: 2_000 },
    );
  });
});
