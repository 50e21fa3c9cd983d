import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as iana from '../../../agent/dns/iana.ts';

describe('registry names', () => {
  it('give the number again', () => {
    for (const [name, number] of Object.entries(iana.TYPE)) {
      assert.equal(iana.typeName(number), name);
      assert.equal(iana.typeNumber(name.toLowerCase()), number);
    }
    for (const [name, number] of Object.entries(iana.CLASS)) {
      assert.equal(iana.classNumber(iana.className(number)), number);
      assert.equal(iana.classNumber(name), number);
    }
    for (const [name, number] of Object.entries(iana.RCODE)) {
      assert.equal(iana.rcodeName(number), name);
      assert.equal(iana.rcodeNumber(name), number);
    }
  });

  it('have a form for numbers without a name (RFC 3597 §5)', () => {
    assert.equal(iana.typeName(1234), 'TYPE1234');
    assert.equal(iana.typeNumber('type65535'), 65_535);
    assert.equal(iana.className(77), 'CLASS77');
    assert.equal(iana.classNumber('CLASS77'), 77);
    assert.equal(iana.rcodeName(77), 'RCODE77');
  });

  it('do not turn other words into numbers', () => {
    for (const text of [
      '',
      'TYPE',
      'TYPE65536',
      'TYPE-1',
      'TYPE1.5',
      'constructor',
      '__proto__',
      '1',
    ]) {
      assert.equal(iana.typeNumber(text), undefined, text);
    }
  });
});
