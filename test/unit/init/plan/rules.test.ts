import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  allRules,
  desiredRules,
  fingerprintOf,
  type Interception,
} from '../../../../init/plan/desired-rules.ts';
import { planOf, type Rule } from '../../../../init/plan/plan.ts';
import { INTERCEPTING, PLAN_BASICS } from '../fake-system.ts';

const LOCAL = '169.254.20.10';
const VIP = '10.96.0.10';
const OPTIONS = {
  ...PLAN_BASICS,
  localIps: [LOCAL, VIP, 'fd00::a'],
  clusterIps: [VIP],
  healthPort: 8080,
};
const PLAN = planOf(OPTIONS);

function ids(list: readonly Rule[]): string[] {
  return list.map((rule) => rule.id);
}

describe('query rules', () => {
  const queryAt = (interception: Interception, hasTcpAffinity = true): readonly Rule[] =>
    desiredRules(PLAN, { ...INTERCEPTING, interception, hasTcpAffinity }).query;

  it('are for pods and host, both protocols, both families', () => {
    assert.deepEqual(ids(queryAt('full')), [
      'query-pod-udp4',
      'query-pod-udp6',
      'query-pod-tcp4',
      'query-pod-tcp6',
      'query-host-udp4',
      'query-host-udp6',
      'query-host-tcp4',
      'query-host-tcp6',
    ]);
  });

  it("end with the agent's socket for pods, but not for the host", () => {
    for (const rule of queryAt('full'))
      assert.equal(rule.whileBound, rule.hook === 'prerouting', rule.id);
    assert.deepEqual(queryAt('socket-guarded'), queryAt('full').slice(0, 4));
  });

  it('match over TCP only a SYN with the SYN mark, if the kernel has TCP affinity', () => {
    for (const rule of queryAt('full'))
      assert.equal(rule.synMark, rule.protocol === 'tcp' ? 0x1000 : undefined, rule.id);
    const every = queryAt('full', false);
    assert.deepEqual(ids(every), ids(queryAt('full')));
    assert.ok(every.every((rule) => !('synMark' in rule)));
  });
});

describe('standing rules', () => {
  const { query, standing, accept } = allRules(PLAN);

  it('untrack replies: source address and port, at output', () => {
    const replies = standing.filter((rule) => rule.id.startsWith('reply'));
    assert.equal(replies.length, 4);
    for (const rule of replies) {
      assert.equal(rule.side, 'source');
      assert.equal(rule.hook, 'output');
      assert.equal(rule.port, 53);
      assert.equal(rule.verdict, 'notrack');
    }
  });

  it('untrack health checks over TCP only, and only with a health port', () => {
    const health = standing.filter((rule) => rule.id.startsWith('health'));
    assert.deepEqual(ids(health), [
      'health-query-tcp4',
      'health-query-tcp6',
      'health-reply-tcp4',
      'health-reply-tcp6',
    ]);
    const without = allRules(planOf({ ...OPTIONS, healthPort: undefined }));
    const all = [...without.standing, ...without.accept];
    assert.ok(all.every((rule) => rule.port === 53));
  });

  it('accept both directions of both hooks', () => {
    const dns = accept.filter((rule) => rule.id.startsWith('accept-dns'));
    assert.equal(dns.length, 16);
    const fromAnywhere = dns.filter((rule) => rule.hook === 'input' && !rule.fromLoopback);
    assert.ok(fromAnywhere.every((rule) => rule.side === 'destination'));
  });

  it('have unique names, and only addresses of their family', () => {
    const all = [...query, ...standing, ...accept];
    assert.equal(new Set(ids(all)).size, all.length);
    for (const rule of all)
      assert.deepEqual(rule.addresses, rule.family === 4 ? [LOCAL, VIP] : ['fd00::a']);
  });

  it('are of one family if all local IPs are', () => {
    const only4 = allRules(planOf({ ...OPTIONS, localIps: [LOCAL] }));
    assert.ok([...only4.query, ...only4.standing, ...only4.accept].every((r) => r.family === 4));
  });
});

describe('rules for kept local IPs', () => {
  const { tcpAffinities, kept } = desiredRules(PLAN, {
    ...INTERCEPTING,
    keptIps: ['fd00::99', '10.96.0.99', '10.96.0.98'],
    removedIps: ['10.96.0.97'],
  });

  it('have names of their own, and no address of the plan', () => {
    assert.ok(ids(kept.standing).includes('left-reply-udp4'));
    assert.ok(ids(kept.standing).includes('left-probe-tcp6'));
    assert.ok(ids(kept.accept).includes('left-accept-dns-in-query-udp4'));
    for (const { family, addresses } of kept.standing)
      assert.deepEqual(addresses, family === 4 ? ['10.96.0.98', '10.96.0.99'] : ['fd00::99']);
    assert.deepEqual(kept.removedIps, ['10.96.0.97']);
  });

  it('share the set of TCP connections of their family', () => {
    assert.deepEqual(tcpAffinities, [
      {
        ...{ family: 4, port: 53, mark: 0x1000 },
        ...{ addresses: [LOCAL, VIP], keptAddresses: ['10.96.0.98', '10.96.0.99'] },
      },
      {
        ...{ family: 6, port: 53, mark: 0x1000 },
        ...{ addresses: ['fd00::a'], keptAddresses: ['fd00::99'] },
      },
    ]);
  });

  it('change the fingerprint when an address is removed', () => {
    const before = desiredRules(PLAN, INTERCEPTING);
    const after = desiredRules(PLAN, { ...INTERCEPTING, removedIps: ['10.96.0.97'] });
    assert.notEqual(fingerprintOf(before), fingerprintOf(after));
  });
});
