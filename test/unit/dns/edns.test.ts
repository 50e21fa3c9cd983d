import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decode } from 'dns-packet';
import type { ExtendedError } from '../../../agent/base/errors.ts';
import { findOption, optBytes, putOpt, readExtendedError } from '../../../agent/dns/edns.ts';
import { putHeader } from '../../../agent/dns/header.ts';
import { EDE, RCODE } from '../../../agent/dns/iana.ts';

/** A message with nothing but an OPT in it. */
function withOpt(extended: ExtendedError | undefined, rcode: number = RCODE.NOERROR): Buffer {
  const wire = Buffer.alloc(12 + optBytes(extended), 0xee);
  putHeader(wire, 0, 0x8000, [0, 0, 0, 1]);
  const end = putOpt(wire, 12, { udpSizeBytes: 1232, rcode, dnssecOk: true, extended });
  assert.equal(end, wire.length, 'optBytes and putOpt disagree');
  return wire;
}

const readBack = (wire: Buffer) => readExtendedError(wire, 12 + 11, wire.length);

describe('putOpt', () => {
  it('is read alike by another implementation', () => {
    const [opt] = decode(withOpt({ code: EDE.STALE_ANSWER, text: 'old' }, 0xabc)).additionals ?? [];
    assert.ok(opt?.type === 'OPT');
    assert.deepEqual([opt.name, opt.udpPayloadSize, opt.flag_do], ['.', 1232, true]);
    assert.deepEqual([opt.extendedRcode, opt.ednsVersion], [0xab, 0]);
    const option = opt.options[0] as { code: number; data: Buffer };
    assert.equal(option.code, 15);
    assert.deepEqual(option.data, Buffer.from('\0\x03old'));
  });

  for (const text of ['', 'why', 'é'.repeat(64), 'x'.repeat(128)]) {
    it(`carries ${Buffer.byteLength(text)} bytes of text`, () => {
      assert.deepEqual(readBack(withOpt({ code: 22, text })), { code: 22, text });
    });
  }

  for (const [text, kept] of [
    ['x'.repeat(129), 'x'.repeat(128)],
    [`x${'é'.repeat(64)}`, `x${'é'.repeat(63)}`],
    [`xx${'😀'.repeat(40)}`, `xx${'😀'.repeat(31)}`],
  ] as const) {
    it(`cuts longer text between characters: ${kept.slice(0, 4)}…`, () => {
      assert.deepEqual(readBack(withOpt({ code: 0, text })), { code: 0, text: kept });
    });
  }

  it('may have an empty text', () => {
    const wire = withOpt(undefined);
    assert.equal(wire.length, 12 + 11);
    assert.equal(readBack(wire), undefined);
  });
});

describe('findOption', () => {
  const options = Buffer.from('000a0002aabb000a0000000f000300037a', 'hex');

  it('finds the first of a code', () => {
    assert.deepEqual(findOption(options, 0, options.length, 10), { start: 4, end: 6 });
    assert.deepEqual(findOption(options, 0, options.length, 15), { start: 14, end: 17 });
    assert.equal(findOption(options, 0, options.length, 3), undefined);
  });

  it('returns none where an option exceeds the end', () => {
    for (let end = 0; end < options.length; end++) {
      assert.equal(findOption(options, 0, end, 15), undefined, `${end}`);
    }
  });
});
