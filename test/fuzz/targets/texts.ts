/** Readers of text. */
import assert from 'node:assert/strict';
import { ConfigError } from '../../../agent/base/errors.ts';
import { recordFromText } from '../../../agent/dns/text/record.ts';
import { corefileFixtures } from '../../support/corefiles/fixtures.ts';
import { parseText } from '../../support/corefiles/parse.ts';
import { printCorefile } from '../../support/corefiles/print.ts';
import { RECORD_TEXTS } from '../../support/dns/record-texts.ts';
import type { Target } from '../loop.ts';

/** Parsed, or refused at an existing line; a parsed text has the same meaning when it is printed. */
const corefile: Target = {
  seeds: corefileFixtures().map(({ text }) => Buffer.from(text)),
  words: [
    ...[' ', '\n', '{', '}', '"', '\\', '#', '{$', '{%', '%}', '(', ')', 'import ', '.:53'],
    ...['cache 30', 'forward . 1.1.1.1', 'tls://', '[::1]:53', '10.0.0.0/8', 'dns://', '/etc/x'],
  ],
  run: (input) => {
    const text = input.toString('utf8');
    try {
      parseText(text);
    } catch (error) {
      assert.ok(error instanceof ConfigError, String(error));
      const lines = text.split('\n').length;
      assert.ok(error.place.line >= 1 && error.place.line <= lines, error.message);
      return;
    }
    if (/\{[$%]|import/.test(text)) return;
    const printed = printCorefile(parseText(text));
    assert.equal(printCorefile(parseText(printed)), printed);
  },
};

/** A record in the form of its type: bytes that fit into a message, or a reason. */
const record: Target = {
  seeds: [...RECORD_TEXTS.map(({ type, data }) => Buffer.from(`x.test. 300 IN ${type} ${data}`))],
  words: [
    ...[' ', '"', '\\', '\\#', '(', ')', ';', '\\000', '.', '@', 'IN', 'CH', '300', '1h', 'A'],
    ...['AAAA', 'SVCB', 'alpn=', 'key65535=', 'ipv6hint=', 'NAPTR', 'LOC', 'TYPE65280', '::1'],
  ],
  run: (input) => {
    try {
      const { name, rdata } = recordFromText(input.toString('utf8'));
      assert.ok(name.length <= 255 && rdata.length <= 65_535);
    } catch (error) {
      assert.ok(error instanceof RangeError, String(error));
    }
  },
};

export const TEXTS = { corefile, record };
