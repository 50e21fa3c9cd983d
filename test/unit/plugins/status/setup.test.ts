import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError } from '../../../../agent/base/errors.ts';
import { setup } from '../../../../agent/plugins/status/setup.ts';
import { parseDirective } from '../../../support/corefiles/parse.ts';
import { fakeServices } from '../../../support/services.ts';
import { assembled } from '../../daemon/configuration/assembling.ts';

function addressesOf(text: string): readonly string[] {
  const services = fakeServices();
  const { directive, block } = parseDirective(text);
  assert.deepEqual(setup(directive, block, services), { name: 'status' });
  return services.statusPages;
}

describe('status', () => {
  it('asks for the page at its address, on loopback by default', () => {
    assert.deepEqual(addressesOf('status'), ['localhost:9254']);
    assert.deepEqual(addressesOf('status [fd00::10]:9254'), ['[fd00::10]:9254']);
  });

  it('is one page for blocks with the same address', () => {
    const block = (zone: string): string =>
      `${zone}:1053 {\n bind lo\n status 127.0.0.1:9254\n whoami\n}\n`;
    const { serverConfig } = assembled(block('a.test') + block('b.test'));
    assert.deepEqual([...serverConfig.statusPages], ['127.0.0.1:9254']);
  });

  it('refuses what is no address, a second argument, braces and a second use', () => {
    for (const text of [
      'status 9254',
      'status :9254 :9255',
      'status {\n names\n}',
      'status\nstatus',
    ])
      assert.throws(() => addressesOf(text), ConfigError, text);
  });
});
