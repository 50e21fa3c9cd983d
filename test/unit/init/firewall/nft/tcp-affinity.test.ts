import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NftTcpAffinity } from '../../../../../init/firewall/nft/tcp-affinity.ts';
import { allRules } from '../../../../../init/plan/desired-rules.ts';
import { NO_RULES, planOf } from '../../../../../init/plan/plan.ts';
import { failure, fakeSystem, PLAN_BASICS } from '../../fake-system.ts';

const rules = allRules(planOf({ ...PLAN_BASICS, localIps: ['169.254.20.10', 'fd00::a'] }));

describe('TCP affinity', () => {
  const text = new NftTcpAffinity(fakeSystem().system, () => undefined).explain(rules);
  const baseOf = (name: string): string => text.split(`chain ${name} {\n`)[1]?.split('\n')[0] ?? '';
  const line = (id: string): string =>
    text.split('\n').find((each) => each.includes(`nodens:${id}:`)) ?? '';

  it('has bounded sets, separate for each family', () => {
    for (const name of ['flows', 'closing'])
      for (const family of [4, 6])
        assert.match(
          text,
          new RegExp(
            `set ${name}${family} {\\n +type ipv${family}_addr . inet_service . ipv${family}_addr; ` +
              'size 65536; flags dynamic,timeout; timeout 5m;',
          ),
        );
  });

  it('sets the SYN mark before the query rules, and forgets connections after them', () => {
    for (const [name, priority] of [
      ['remember_prerouting', -301],
      ['remember_output', -301],
      ['close_output', -301],
      ['forget_prerouting', -290],
      ['forget_output', -290],
    ] as const)
      assert.match(baseOf(name), new RegExp(`hook \\w+ priority ${priority};`), name);
  });

  it('remembers and marks a SYN if the set has room', () => {
    assert.match(
      line('flow-open-prerouting-4'),
      /^ +tcp dport 53 ip daddr { 169\.254\.20\.10 } tcp flags & \(fin \| syn \| rst \| ack\) == syn update @flows4 { ip saddr \. tcp sport \. ip daddr timeout 70s } counter meta mark set meta mark \| 0x1000 /,
    );
  });

  it('untracks later packets of remembered connections, and no others', () => {
    assert.match(
      line('flow-keep-output-6'),
      /tcp flags & syn == 0 ip6 saddr \. tcp sport \. ip6 daddr @flows6 update @flows6 { ip6 saddr \. tcp sport \. ip6 daddr timeout 5m } counter notrack /,
    );
    assert.match(line('flow-end-output-6'), / ip6 daddr @closing6 counter notrack /);
    const untracking = text.split('\n').filter((each) => each.includes(' notrack '));
    assert.ok(untracking.every((each) => /@(flows|closing)[46] /.test(each)));
  });

  it("ends with the agent's FIN or RST", () => {
    assert.match(
      line('flow-close-output-4'),
      /tcp sport 53 ip saddr { 169\.254\.20\.10 } tcp flags & \(fin \| rst\) != 0 ip daddr \. tcp dport \. ip saddr @flows4 update @closing4 { ip daddr \. tcp dport \. ip saddr timeout 10s } counter delete @flows4 /,
    );
  });

  it('forgets a connection that opens at kube-dns, and clears the SYN mark', () => {
    assert.match(
      line('flow-forget-prerouting-6'),
      /== syn ct state != untracked counter delete @flows6 {[^}]*} delete @closing6 /,
    );
    assert.match(
      line('flow-unmark-prerouting-6'),
      /== syn meta mark & 0x1000 == 0x1000 counter meta mark set meta mark & 0xffffefff /,
    );
  });

  it('is one table of one family where there is one, and none where there is nothing to remember', () => {
    const flows = new NftTcpAffinity(fakeSystem().system, () => undefined);
    const only4 = allRules(planOf({ ...PLAN_BASICS, localIps: ['169.254.20.10'] }));
    assert.doesNotMatch(flows.explain(only4), /ip6|flows6/);
    assert.equal(flows.explain(NO_RULES), '');
  });

  it('flushes the sets of both families in one transaction', async () => {
    const { system, calls } = fakeSystem();
    const flows = new NftTcpAffinity(system, () => undefined);
    await flows.forget();
    assert.equal(calls.length, 0);
    await flows.apply(rules).catch(() => undefined);
    await flows.forget();
    assert.equal(
      calls.at(-1)?.input,
      ['flows4', 'closing4', 'flows6', 'closing6']
        .map((set) => `flush set inet nodens_flows_main ${set}\n`)
        .join(''),
    );
  });

  it('lists local IPs, and no clients', async () => {
    const { system, calls } = fakeSystem(() => 'ip daddr { 10.0.0.1 }');
    const flows = new NftTcpAffinity(system, () => undefined);
    assert.deepEqual(await flows.localIps(), ['10.0.0.1']);
    // -t: without the elements of sets.
    assert.equal(calls[0]?.command, 'nft -a -y -t list table inet nodens_flows_main');
    const without = fakeSystem((command) => failure(command, 'No such file or directory'));
    assert.deepEqual(await new NftTcpAffinity(without.system, () => undefined).localIps(), []);
  });
});
