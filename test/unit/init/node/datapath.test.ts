import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { NfTables } from '../../../../init/netlink/nf-tables.ts';
import { dataPathOf } from '../../../../init/node/datapath.ts';
import { failure, fakeSystem } from '../fake-system.ts';
import { type FakeTables, fakeKernel } from '../netlink/fake-kernel.ts';

const links = (...names: string[]): string => JSON.stringify(names.map((ifname) => ({ ifname })));

async function kindOf(
  names: string[],
  answers: Readonly<Record<string, string>> = {},
  nfTables?: NfTables,
) {
  const { system } = fakeSystem(
    (command) => (command === 'ip -j link show' ? links(...names) : answers[command]),
    { '/proc/net/ip_tables_names': 'nat\nfilter\n' },
  );
  return (await dataPathOf({ ...system, nfTables })).kind;
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
    assert.equal(await kindOf(names, { 'iptables-legacy-save -t filter': legacy }), 'netfilter');
  });

  it('with the addon the kernel says whether kube-proxy is there', async () => {
    const names = ['lo', 'cilium_host'];
    const kernel = (tables: FakeTables) => fakeKernel(tables).nfTables;
    assert.equal(await kindOf(names, {}, kernel({})), 'ebpf');
    assert.equal(await kindOf(names, {}, kernel({ 'ip6 kube-proxy': {} })), 'netfilter');
    const iptables = { 'ip nat': { chains: { 'KUBE-SERVICES': {} } } };
    assert.equal(await kindOf(names, {}, kernel(iptables)), 'netfilter');
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
