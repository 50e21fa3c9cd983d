import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CommandError } from '../../../../init/node/exec.ts';
import { isServed } from '../../../../init/node/served.ts';
import { fakeSystem } from '../fake-system.ts';
import { type FakeTables, fakeKernel } from '../netlink/fake-kernel.ts';

describe('without the addon, a ClusterIP is served', () => {
  const served = (ruleset: string, legacy = ''): Promise<boolean> => {
    const { system } = fakeSystem(
      (command) => {
        if (command === 'nft list ruleset') return ruleset;
        return command === 'iptables-legacy-save -t nat' ? legacy : undefined;
      },
      { '/proc/net/ip_tables_names': legacy === '' ? '' : 'filter\nnat\n' },
    );
    return isServed(system, '10.96.0.10');
  };
  const nat = (rule: string, table = 'ip kube-proxy'): string =>
    `table ${table} {\n\tchain x {\n\t\ttype nat hook output priority -100;\n\t\t${rule}\n\t}\n}\n`;

  it('where address translation names it, by nft or legacy iptables', async () => {
    assert.equal(await served(nat('10.96.0.10 . tcp . 53 : goto y')), true);
    assert.equal(await served('', '-A KUBE-SERVICES -d 10.96.0.10/32 -p udp -j X'), true);
  });

  it('not where only others or we ourselves name it, or another address that looks like it', async () => {
    assert.equal(await served(''), false);
    assert.equal(await served('table inet fw {\n\tip daddr 10.96.0.10 accept\n}\n'), false);
    assert.equal(await served(nat('ip daddr 10.96.0.10', 'inet nodens_fallback_main')), false);
    assert.equal(await served(nat('ip daddr 10.96.0.100 dnat to 1.2.3.4')), false);
    assert.equal(await served(nat('ip daddr 110.96.0.10 dnat to 1.2.3.4')), false);
  });
});

describe('a ClusterIP is served, as the kernel says', () => {
  const VIP = [10, 96, 0, 10];
  const KEY = [...VIP, 17, 0, 0, 0, 0, 53, 0, 0];
  const nat = { type: 'nat', hook: 3 };

  async function served(tables: FakeTables, address = '10.96.0.10') {
    const { system, calls } = fakeSystem();
    const { nfTables, asked } = fakeKernel(tables);
    const answer = await isServed({ ...system, nfTables }, address);
    assert.deepEqual(calls, []);
    return { answer, asked };
  }

  it("where kube-proxy's nftables mode has it in a map, also without endpoints", async () => {
    for (const set of ['service-ips', 'no-endpoint-services']) {
      const proxy = { chains: { output: nat }, sets: { [set]: [KEY] } };
      assert.equal((await served({ 'ip kube-proxy': proxy })).answer, true);
      assert.equal((await served({ 'ip6 kube-proxy': proxy })).answer, false);
    }
  });

  it('where the table of kube-proxy has rules or sets of other names', async () => {
    const chains = { output: nat };
    for (const proxy of [
      { chains: { output: { ...nat, rules: [{ address: VIP }] } } },
      { chains, sets: { services: [KEY] } },
    ])
      assert.equal((await served({ 'inet kube-proxy': proxy })).answer, true);
    const other = { chains, sets: { 'service-ips': [], services: [KEY] } };
    assert.equal((await served({ 'inet kube-proxy': other })).answer, false);
  });

  it("where kube-proxy's iptables mode has a rule; only that chain is read", async () => {
    const tables = (rules: readonly { address: number[] }[]): FakeTables => ({
      'ip nat': {
        chains: {
          OUTPUT: nat,
          'KUBE-SERVICES': { rules },
          'KUBE-SEP-1': { rules: [{ address: VIP }] },
        },
      },
    });
    const found = await served(tables([{ address: VIP }]));
    assert.equal(found.answer, true);
    assert.equal(found.asked.at(-1), 'rules of ip nat KUBE-SERVICES');
    assert.equal((await served(tables([{ address: [10, 96, 0, 11] }]))).answer, false);
  });

  it('where another program translates it, in a rule or a set', async () => {
    const rule = { address: VIP };
    assert.equal(
      (await served({ 'inet lb': { chains: { out: { ...nat, rules: [rule] } } } })).answer,
      true,
    );
    const sets = { 'inet lb': { chains: { out: nat }, sets: { __map0: [KEY] } } };
    assert.equal((await served(sets)).answer, true);
    const filter = { type: 'filter', hook: 3, rules: [rule] };
    assert.equal((await served({ 'inet fw': { chains: { out: filter } } })).answer, false);
    const own = { 'inet nodens_fallback_main': { chains: { out: { ...nat, rules: [rule] } } } };
    assert.equal((await served(own)).answer, false);
  });

  it('of IPv6 in tables for IPv6', async () => {
    const bytes = [0xfd, ...Array<number>(14).fill(0), 0x0a];
    const tables = (name: string) => ({
      [name]: { chains: { x: nat }, sets: { 'service-ips': [bytes] } },
    });
    assert.equal((await served(tables('ip6 kube-proxy'), 'fd00::a')).answer, true);
    assert.equal((await served(tables('ip kube-proxy'), 'fd00::a')).answer, false);
  });
});

it('a program that was killed for memory has not said that a ClusterIP is not served', async () => {
  const { system } = fakeSystem(
    (command) => new CommandError(command, undefined, '', command.startsWith('iptables-legacy')),
    { '/proc/net/ip_tables_names': 'nat\n' },
  );
  await assert.rejects(isServed(system, '10.96.0.10'), CommandError);
});
