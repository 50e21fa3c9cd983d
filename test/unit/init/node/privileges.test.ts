import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { requireCapability } from '../../../../init/node/privileges.ts';
import { fakeSystem } from '../fake-system.ts';

describe('privileges', () => {
  const status = (hex: string) =>
    fakeSystem(undefined, { '/proc/self/status': `Name:\tnode\nCapEff:\t${hex}\n` }).system;

  it('CAP_NET_ADMIN is bit 12, CAP_NET_RAW bit 13 of CapEff', async () => {
    await requireCapability(status('0000000000001000'), 'NET_ADMIN', 'x');
    await requireCapability(status('0000000000002000'), 'NET_RAW', 'x');
    await assert.rejects(
      requireCapability(status('000001ffffffefff'), 'NET_ADMIN', 'put addresses'),
      /CAP_NET_ADMIN is missing, which is needed to put addresses: add NET_ADMIN to/,
    );
    await assert.rejects(requireCapability(status('0000000000001000'), 'NET_RAW', 'x'), /NET_RAW/);
  });
});
