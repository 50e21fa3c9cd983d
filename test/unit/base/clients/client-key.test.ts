import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { clientKey, clientName } from '../../../../agent/base/clients/client-key.ts';

describe('the key of a client', () => {
  it('is an IPv4 address, mapped into IPv6 or not', () => {
    assert.equal(clientKey('10.0.0.7'), '\x0a\x00\x00\x07');
    assert.equal(clientKey('::ffff:10.0.0.7'), clientKey('10.0.0.7'));
    assert.equal(clientName(clientKey('10.0.0.7')), '10.0.0.7');
  });

  it('is the /64 of an IPv6 address', () => {
    assert.equal(clientKey('fd00:1:2:3::1'), clientKey('fd00:1:2:3:ffff:ffff:ffff:ffff'));
    assert.notEqual(clientKey('fd00:1:2:3::1'), clientKey('fd00:1:2:4::1'));
    assert.equal(clientKey('fe80::1%eth0'), clientKey('fe80::2'));
    assert.equal(clientName(clientKey('fd00:1:2:3::1')), 'fd00:1:2:3::/64');
  });

  it('is empty for a client without an address', () => {
    assert.equal(clientKey(''), '');
    assert.equal(clientName(''), '-');
  });
});
