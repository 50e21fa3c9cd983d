import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NftFallback } from '../../../../init/firewall/nft/fallback.ts';
import { allRules } from '../../../../init/plan/desired-rules.ts';
import { clusterIpsOf, possibleFallback } from '../../../../init/plan/fallback.ts';
import { planOf } from '../../../../init/plan/plan.ts';
import { failure, fakeSystem, PLAN_BASICS } from '../fake-system.ts';

const LOCAL = '169.254.20.10';
const VIP = '10.96.0.10';

describe('ClusterIP of kube-dns', () => {
  const of = (localIps: string[], asked: string[] = [], serviceHost?: string): string[] =>
    clusterIpsOf({ localIps, asked, serviceHost });

  it('is the flag, else the variable, else the only local IP that is not link-local', () => {
    assert.deepEqual(of([LOCAL, VIP], ['10.0.0.1'], '10.0.0.2'), ['10.0.0.1']);
    assert.deepEqual(of([LOCAL, VIP], [], '10.0.0.2'), ['10.0.0.2']);
    assert.deepEqual(of([LOCAL, VIP]), [VIP]);
  });

  it('is unknown if there is no such local IP, or several', () => {
    assert.deepEqual(of([LOCAL, VIP, '10.96.0.11']), []);
    assert.deepEqual(of([LOCAL]), []);
    assert.deepEqual(of([LOCAL], [], 'kube-dns'), []);
  });

  it('is found separately for each family', () => {
    assert.deepEqual(of([LOCAL, 'fd00::10'], ['fd00::a'], VIP), [VIP, 'fd00::a']);
    assert.deepEqual(of(['fe80::1', 'fd00::a']), ['fd00::a']);
  });
});

describe('fallback', () => {
  const of = (localIps: string[], clusterIps: string[]) =>
    possibleFallback({ localIps, clusterIps, port: 53, mark: 0x1000 });

  it('rewrites the first local IP that is not the ClusterIP to the ClusterIP', () => {
    const { rewrites } = of([VIP, LOCAL, '169.254.20.11'], [VIP]);
    assert.deepEqual(rewrites, [{ family: 4, from: LOCAL, to: VIP, port: 53, mark: 0x1000 }]);
  });

  it('does not exist for the VIP or without a ClusterIP; masquerade rules do', () => {
    for (const fallback of [of([VIP], [VIP]), of([LOCAL], []), of([LOCAL], ['fd00::a'])]) {
      assert.deepEqual(fallback.rewrites, []);
      assert.equal(fallback.masquerades.length, 1);
    }
  });

  it('has masquerade rules for packets to a ClusterIP that is no local IP', () => {
    const [masquerade] = of([LOCAL], [VIP]).masquerades;
    assert.deepEqual(masquerade, { family: 4, localIps: [LOCAL], destinations: [LOCAL, VIP] });
  });

  it('rewrites before conntrack, restores after NAT, and skips untracked packets', () => {
    const rules = allRules(planOf({ ...PLAN_BASICS, localIps: [LOCAL], clusterIps: [VIP] }));
    const text = new NftFallback(fakeSystem().system).explain(rules);
    const rewrite = `udp dport 53 ip daddr ${LOCAL} ct state != untracked counter meta mark set meta mark | 0x1000`;
    assert.ok(
      text.includes(`${rewrite} ct original zone set 20253 ip daddr set ${VIP} comment`),
      text,
    );
    assert.match(text, /chain rewrite_output {\n {4}type route hook output priority -250;/);
    assert.match(text, /meta mark set meta mark & 0xffffefff comment "nodens:remember-/);
    assert.match(text, /chain restore_input {\n {4}type filter hook input priority 150;/);
    assert.match(text, /oifname != "lo" ip saddr { 169.254.20.10 } ct original ip daddr/);
  });
});

describe('fallback in a kernel without conntrack zones', () => {
  it('is installed without them, once', async () => {
    const rules = allRules(planOf({ ...PLAN_BASICS, localIps: [LOCAL], clusterIps: [VIP] }));
    const node = { text: undefined as string | undefined };
    const { system, calls } = fakeSystem((command, script) => {
      if (command !== 'nft -f -')
        return node.text ?? failure(command, 'Error: No such file or directory\n');
      if (script.includes('zone')) return failure(command, 'Error: Operation not supported\n');
      node.text = script.replaceAll(/^ {4}(\S.*comment .*)$/gm, '    $1 # handle 7');
      return undefined;
    });
    await assert.rejects(new NftFallback(system).apply(rules), /not supported/);
    const fallback = new NftFallback(system, undefined, { hasZone: false });
    assert.equal(await fallback.apply(rules), true);
    assert.equal(await fallback.apply(rules), false);
    const scripts = calls.filter(({ command }) => command === 'nft -f -');
    assert.deepEqual(
      scripts.map(({ input }) => input.includes('zone')),
      [true, false],
    );
    assert.ok(fallback.explain(rules).includes(`| 0x1000 ip daddr set ${VIP}`));
  });
});
