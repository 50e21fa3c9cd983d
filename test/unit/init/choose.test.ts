import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type BackendWish, chooseFirewall, NoBackendError } from '../../../init/choose.ts';
import { planOf } from '../../../init/plan.ts';
import { type Call, failure, fakeSystem } from './fake-system.ts';

const { rules } = planOf({
  localIps: ['169.254.20.10'],
  interfaceName: 'lo',
  port: 53,
  healthPort: undefined,
});

interface Host {
  /** First words of commands that fail. */
  readonly broken?: readonly string[];
  readonly legacyTables?: string;
  readonly legacyRules?: string;
}

async function choose(host: Host, wish: BackendWish = 'auto') {
  const { system, calls } = fakeSystem(
    (command) => {
      if (host.broken?.some((start) => command.startsWith(start)))
        return failure(command, `${command.split(' ')[0]}: cannot\nmore`);
      return command === 'iptables-legacy-save' ? (host.legacyRules ?? '') : '{"nftables":[]}';
    },
    { '/proc/net/ip_tables_names': host.legacyTables ?? '' },
  );
  return { firewall: await chooseFirewall(system, wish, rules, 'main'), calls };
}

function touchesLegacy(calls: readonly Call[]): string[] {
  const commands = calls.map(({ command }) => command);
  return commands.filter((c) => /legacy/.test(c) && c !== 'iptables-legacy --version');
}

describe('choice of the backend', () => {
  it('is nft where a trial without commit succeeds, and legacy is not even looked at', async () => {
    const { firewall, calls } = await choose({});
    assert.equal(firewall.name, 'nft');
    assert.equal(firewall.reason, 'nft works here');
    assert.ok(calls.some(({ command }) => command === 'nft --check -f -'));
    assert.deepEqual(touchesLegacy(calls), []);
  });

  it('is nft beside legacy tables, too', async () => {
    const { firewall } = await choose({
      legacyTables: 'nat\n',
      legacyRules: '-A OUTPUT -j ACCEPT',
    });
    assert.equal(firewall.name, 'nft');
  });

  it('is iptables-nft where nft is missing, and says what nft said', async () => {
    const { firewall } = await choose({ broken: ['nft '] });
    assert.equal(firewall.name, 'iptables-nft');
    assert.match(
      firewall.reason,
      /nft --check -f -: exit code 1: nft: cannot; legacy iptables is not/,
    );
  });

  it('is iptables-legacy where legacy has rules', async () => {
    const host = { broken: ['nft '], legacyTables: 'nat\n', legacyRules: '*nat\n-A OUTPUT -j X\n' };
    assert.equal((await choose(host)).firewall.name, 'iptables-legacy');
    assert.equal(
      (await choose({ ...host, broken: [] }, 'iptables')).firewall.name,
      'iptables-legacy',
    );
  });

  it('a legacy table without rules does not count as use', async () => {
    const host = { legacyTables: 'raw\n', legacyRules: '*raw\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n' };
    assert.equal((await choose(host, 'iptables')).firewall.name, 'iptables-nft');
  });

  it('is iptables-legacy where the kernel has no nf_tables', async () => {
    const { firewall } = await choose({ broken: ['nft ', 'iptables-nft-save'] });
    assert.equal(firewall.name, 'iptables-legacy');
  });

  it('a wish that cannot be met is an error, not a substitute', async () => {
    await assert.rejects(choose({ broken: ['nft '] }, 'nft'), NoBackendError);
    await assert.rejects(choose({ broken: ['nft ', 'iptables-'] }), NoBackendError);
  });
});
