import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import {
  clientKey,
  clientName,
  setOwnNetworks,
} from '../../../../agent/base/clients/client-key.ts';
import { ownNetworks } from '../../../../agent/daemon/node/own-networks.ts';

const NO_HOP = '0'.repeat(32);
const route = (to: string, length: string, hop = NO_HOP, device = 'cni0'): string =>
  `${to.padEnd(32, '0')} ${length} ${NO_HOP} 00 ${hop} 00000100 00000001 00000000 00000001 ${device}`;

const ROUTES = [
  // A bridge's network, a pod's own route, one of /56 and one through a router.
  route('fd000244', '40'),
  `${route('fd0002440001000000000000000000aa', '80', NO_HOP, 'cali1')}`,
  route('fd00024400020000', '38'),
  route('fd00024400030000', '40', 'fe800000000000000000000000000001', 'eth0'),
].join('\n');

describe('clients over IPv6', () => {
  afterEach(() => setOwnNetworks(new Set()));

  it('are counted by address for pods of this node, and by /64 for other hosts', () => {
    setOwnNetworks(ownNetworks(['10.0.0.1', 'fd00:99::1', 'fe80::1%eth0'], ROUTES));
    for (const [one, other] of [
      ['fd00:244::7', 'fd00:244::8'],
      ['fd00:244:1::aa', 'fd00:244:1::bb'],
      ['fd00:99::1', 'fd00:99::2'],
      ['fe80::1', 'fe80::2'],
    ] as const)
      assert.notEqual(clientKey(one), clientKey(other), one);
    for (const [one, other] of [
      ['fd00:244:2::7', 'fd00:244:2::8'],
      ['fd00:244:3::7', 'fd00:244:3::8'],
      ['2001:db8::7', '2001:db8::8'],
    ] as const)
      assert.equal(clientKey(one), clientKey(other), one);
  });

  it('have names that match how they are counted', () => {
    setOwnNetworks(ownNetworks([], ROUTES));
    assert.equal(clientName(clientKey('fd00:244::7')), 'fd00:244::7');
    assert.equal(clientName(clientKey('2001:db8::7')), '2001:db8::/64');
  });

  it('are counted by /64 where the routing table cannot be read', () => {
    assert.deepEqual(ownNetworks([], ''), new Set());
    assert.deepEqual(ownNetworks([], 'nonsense\nmore of it'), new Set());
  });
});
