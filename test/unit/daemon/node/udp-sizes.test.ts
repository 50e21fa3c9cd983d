import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { udpSizes } from '../../../../agent/daemon/node/udp-sizes.ts';

const internal = (address: string) => ({
  ...{ address, netmask: '', mac: '', internal: true, cidr: null },
  ...(address.includes(':')
    ? { family: 'IPv6' as const, scopeid: 0 }
    : { family: 'IPv4' as const }),
});
const INTERFACES = {
  lo: [internal('127.0.0.1'), internal('10.53.0.53'), internal('fd00::53')],
  eth0: [{ ...internal('192.0.2.7'), internal: false }],
  gone: undefined,
};
const sizeOf = udpSizes(['10.96.0.10', 'FD00:0::A'], () => INTERFACES);

describe('the size of UDP responses', () => {
  for (const address of [
    ...['127.0.0.1', '127.8.9.10', '::1', '169.254.20.10', 'fe80::1%eth0'],
    ...['10.96.0.10', 'fd00::a', '10.53.0.53', 'fd00::53'],
  ]) {
    it(`is 4,096 bytes from ${address}, which does not leave the node`, () => {
      assert.equal(sizeOf(address), 4_096);
    });
  }

  for (const address of ['192.0.2.7', '10.96.0.11', 'fd00::b', '0.0.0.0', '::']) {
    it(`is 1,232 bytes from ${address}`, () => {
      assert.equal(sizeOf(address), 1_232);
    });
  }
});
