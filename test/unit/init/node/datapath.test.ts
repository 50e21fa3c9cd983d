import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { dataPathOf, isServed } from '../../../../init/node/datapath.ts';
import { failure, fakeSystem } from '../fake-system.ts';

const links = (...names: string[]): string => JSON.stringify(names.map((ifname) => ({ ifname })));

async function kindOf(names: string[], answers: Readonly<Record<string, string>> = {}) {
  const { system } = fakeSystem((command) =>
    command === 'ip -j link show' ? links(...names) : answers[command],
  );
  return (await dataPathOf(system)).kind;
}

describe('data path', () => {
  it('is netfilter unless something else is recognised', async () => {
    assert.equal(await kindOf(['lo', 'eth0', 'cali1']), 'netfilter');
    const { system } = fakeSystem((command) => failure(command, 'not found'));
    assert.equal((await dataPathOf(system)).kind, 'netfilter');
  });

  it('is eBPF with Cilium and without kube-proxy', async () => {
    const names = ['lo', 'cilium_host'];
    assert.equal(await kindOf(names), 'ebpf');
    const chains = 'table ip nat {\n\tchain KUBE-SERVICES {\n';
    assert.equal(await kindOf(names, { 'nft list chains': chains }), 'netfilter');
    const legacy = ':KUBE-SERVICES - [0:0]';
    assert.equal(await kindOf(names, { 'iptables-legacy-save': legacy }), 'netfilter');
  });

  it("is eBPF if a pod's link of Calico has a BPF program", async () => {
    const filter = 'filter protocol all pref 49152 bpf chain 0 handle 0x1 cali_tc_preamble';
    const command = 'tc filter show dev cali7 ingress';
    assert.equal(await kindOf(['lo', 'cali7'], { [command]: filter }), 'ebpf');
  });

  it('is IPVS if the link kube-ipvs0 exists', async () => {
    assert.equal(await kindOf(['lo', 'kube-ipvs0']), 'ipvs');
  });
});

describe('a ClusterIP is served', () => {
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

  it('if a NAT rule of nft or legacy iptables names it', async () => {
    assert.equal(await served(nat('10.96.0.10 . tcp . 53 : goto y')), true);
    assert.equal(await served('', '-A KUBE-SERVICES -d 10.96.0.10/32 -p udp -j X'), true);
  });

  it('not if only filter rules or nodens name it, or rules name a similar address', async () => {
    assert.equal(await served(''), false);
    assert.equal(await served('table inet fw {\n\tip daddr 10.96.0.10 accept\n}\n'), false);
    assert.equal(await served(nat('ip daddr 10.96.0.10', 'inet nodens_fallback_main')), false);
    assert.equal(await served(nat('ip daddr 10.96.0.100 dnat to 1.2.3.4')), false);
    assert.equal(await served(nat('ip daddr 110.96.0.10 dnat to 1.2.3.4')), false);
  });
});
