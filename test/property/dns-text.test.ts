/** Records in presentation format: any name goes through, any text ends in a record or a RangeError. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { nameToText } from '../../agent/dns/name.ts';
import { recordFromText } from '../../agent/dns/text.ts';
import { compile } from '../../agent/plugins/template/compile.ts';
import { TemplateError } from '../../agent/plugins/template/values.ts';
import { BOUNDED, wireName } from '../support/messages.ts';

describe('recordFromText', () => {
  it('takes a name as nameToText writes it, as owner and as data', () => {
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

  it('survives any text', () => {
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
  it('survives any template', () => {
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
