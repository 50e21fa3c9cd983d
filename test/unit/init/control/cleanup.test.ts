import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { cleanUp } from '../../../../init/control/cleanup.ts';
import type { Log } from '../../../../init/log.ts';
import { CommandError } from '../../../../init/node/exec.ts';
import { failure, fakeSystem, type Script } from '../fake-system.ts';

const PLAN = { interfaceName: 'lo', addresses: ['fd00::a'] };
/** A marked address, one that the flags name, one that only a rule names, and a foreign one. */
const LO = {
  ifname: 'lo',
  flags: ['UP'],
  addr_info: [
    { local: '169.254.20.10', prefixlen: 32, scope: 'host', label: 'lo:nodens' },
    ...['fd00::a', 'fd00::b', 'fd00::c'].map((local) => ({
      ...{ local, prefixlen: 128, deprecated: true },
    })),
  ],
};
const TABLE =
  'table inet nodens_standing_main { chain output { ip6 saddr fd00::b udp sport 53 notrack } }';

/** A node with one table of nodens and no iptables. */
const node: Script = (command) => {
  if (/^(ip6?tables|nft -j list ruleset)/.test(command)) return failure(command, 'not found', 127);
  if (command === 'ip -j -d addr show') return JSON.stringify([LO]);
  if (command === 'nft list tables') return 'table inet nodens_standing_main\n';
  if (command.startsWith('nft -j list')) return '{"nftables":[]}';
  return command.endsWith('list table inet nodens_standing_main') ? TABLE : undefined;
};

async function cleaned(script: Script, stateDir?: string) {
  const { system, calls } = fakeSystem(script);
  const removed: unknown[] = [];
  const log: Log = {
    info: (msg, fields) => void removed.push([msg, fields?.what, fields?.removed]),
    warn: assert.fail,
    error: assert.fail,
  };
  const failed = await cleanUp(system, log, PLAN, stateDir).catch((error: unknown) => error);
  const deletions = calls
    .map(({ command }) => command)
    .filter((command) => /^ip (addr|link) del/.test(command));
  return { calls, removed, failed, deletions };
}

describe('cleanup', () => {
  it('removes rules, then only addresses with a mark, a flag or a rule of nodens', async () => {
    const { calls, removed, failed, deletions } = await cleaned(node);
    assert.equal(failed, undefined);
    assert.deepEqual(deletions, [
      'ip addr del 169.254.20.10/32 dev lo',
      'ip addr del fd00::a/128 dev lo',
      'ip addr del fd00::b/128 dev lo',
    ]);
    const ofRules = calls.findLastIndex(({ input }) => input.includes('nodens_standing_main'));
    const ofAddresses = calls.findIndex(({ command }) => command.startsWith('ip addr del'));
    assert.ok(ofRules !== -1 && ofRules < ofAddresses);
    assert.deepEqual(removed[0], ['removed', 'nft', 'nft table inet nodens_standing_main']);
  });

  it('continues after a part that fails, and throws the first failure at the end', async () => {
    const { failed, deletions } = await cleaned((command, input) =>
      command === 'nft -f -' ? failure(command, 'busy') : node(command, input),
    );
    assert.ok(failed instanceof CommandError);
    assert.match(failed.message, /busy/);
    assert.equal(deletions.length, 3);
  });

  it('removes the snapshot only if its folder is given', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'nodens-cleanup-'));
    try {
      await writeFile(join(folder, 'cache.snapshot'), '');
      await cleaned(node);
      assert.deepEqual(await readdir(folder), ['cache.snapshot']);
      const { removed } = await cleaned(node, folder);
      await assert.rejects(readdir(folder));
      assert.deepEqual(removed.at(-1), ['removed', 'snapshot', folder]);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
