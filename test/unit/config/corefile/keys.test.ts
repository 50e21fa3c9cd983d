import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError } from '../../../../agent/base/errors.ts';
import { expandKey, expandZone, formatKey } from '../../../../agent/config/corefile/keys.ts';

const place = { file: 'f', line: 1 };
const keys = (text: string): string[] => expandKey(text, place, 1053).map(formatKey);

function refusal(text: string): string {
  try {
    keys(text);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.reason;
  }
  return assert.fail(`${text} was accepted`);
}

describe('keys', () => {
  it('have a scheme, a zone and a port', () => {
    const table: [text: string, key: string][] = [
      ['.', 'dns://.:1053'],
      [':53', 'dns://.:53'],
      ['.:0', 'dns://.:0'],
      ['Example.ORG', 'dns://example.org.:1053'],
      ['example.org.:5353', 'dns://example.org.:5353'],
      ['dns://.', 'dns://.:1053'],
      ['tls://example.org', 'tls://example.org.:853'],
      ['quic://.', 'quic://.:853'],
      ['grpc://.', 'grpc://.:443'],
      ['https://.:8443', 'https://.:8443'],
      ['https3://.', 'https3://.:443'],
      ['_sip._tcp.Ä.test', 'dns://_sip._tcp.\\195\\132.test.:1053'],
      ['0/25.2.0.192.in-addr.arpa', 'dns://0/25.2.0.192.in-addr.arpa.:1053'],
      ['10.0.0.0/8:5353', 'dns://10.in-addr.arpa.:5353'],
      ['2001:db8::/32', 'dns://8.b.d.0.1.0.0.2.ip6.arpa.:1053'],
      ['2001:db8::/32:53', 'dns://8.b.d.0.1.0.0.2.ip6.arpa.:53'],
    ];
    for (const [text, key] of table) assert.deepEqual(keys(text), [key], text);
  });

  it('are refused with a reason', () => {
    const table: [text: string, reason: string][] = [
      ['a.test:', '"a.test:": a port is missing after the colon'],
      ['a.test:65536', '"a.test:65536": port 65536 is out of range; use 1 to 65535'],
      ['a.test:dns', '"a.test:dns": a port number must follow the last colon'],
      ['htps://.', 'unknown scheme "htps://": did you mean "https"?'],
      ['unix:///run/x', 'unknown scheme "unix://": known: dns, tls, quic, grpc, https, https3'],
      ['fd00::1', '"fd00::1" is an address; for its reverse zone: fd00::1/128'],
      ['10.0.0.0/33', '"10.0.0.0/33" is not a network like 10.0.0.0/8 or fd00::/8'],
      ['10.0/16', '"10.0/16" is not a network like 10.0.0.0/8 or fd00::/8'],
      ['a..b', 'not a domain name: empty label in name "a..b"'],
    ];
    for (const [text, reason] of table) assert.equal(refusal(text), reason);
    const label = 'x'.repeat(63);
    assert.equal(keys(`${label}.${label}.${label}.${'x'.repeat(61)}`).length, 1);
    assert.match(refusal(`${label}.${label}.${label}.${'x'.repeat(62)}`), /over 255 bytes/);
    assert.match(refusal(`${label}x.test`), /label over 63 bytes/);
    for (const end of ['', ':', ':99999999', '://'])
      assert.match(
        refusal('x'.repeat(1_000_000) + end),
        /^"x{64}…" is too long for a domain name$/,
      );
  });
});

describe('reverse zones', () => {
  it('expand upwards where the prefix ends inside a label', () => {
    assert.deepEqual(expandZone('10.1.2.0/23', place), [
      '2.1.10.in-addr.arpa.',
      '3.1.10.in-addr.arpa.',
    ]);
    const eighth = expandZone('192.0.2.77/27', place);
    assert.equal(eighth.length, 32);
    assert.equal(eighth[0], '64.2.0.192.in-addr.arpa.');
    assert.equal(eighth[31], '95.2.0.192.in-addr.arpa.');
    assert.deepEqual(expandZone('fd00::/7', place), ['c.f.ip6.arpa.', 'd.f.ip6.arpa.']);
    assert.equal(expandZone('fd00::1/125', place).length, 8);
  });

  it('cover hosts and everything', () => {
    assert.deepEqual(expandZone('10.1.2.3/32', place), ['3.2.1.10.in-addr.arpa.']);
    assert.deepEqual(expandZone('0.0.0.0/0', place), ['in-addr.arpa.']);
    assert.deepEqual(expandZone('::/0', place), ['ip6.arpa.']);
    assert.equal(expandZone('::1/128', place)[0], `1.${'0.'.repeat(31)}ip6.arpa.`);
  });
});
