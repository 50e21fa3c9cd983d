import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { planOf, type Rule, rulesAt, withoutTcpAffinity } from '../../../../init/plan/plan.ts';
import { PLAN_BASICS } from '../fake-system.ts';

const OPTIONS = {
  localIps: ['169.254.20.10', '10.96.0.10', 'fd00::a'],
  ...PLAN_BASICS,
  healthPort: 8080,
};

const { rules } = planOf(OPTIONS);

function ids(list: readonly Rule[]): string[] {
  return list.map((rule) => rule.id);
}

describe('plan', () => {
  it('leads queries of pods and host, both protocols, both families', () => {
    assert.deepEqual(ids(rules.query), [
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

  it('every rule of the pods dies with the socket, none of the host can', () => {
    for (const rule of rules.query)
      assert.equal(rule.whileBound, rule.hook === 'prerouting', rule.id);
    assert.deepEqual(ids(rulesAt(rules, 'socket-guarded').query), ids(rules.query).slice(0, 4));
  });

  it('withdrawal takes the query direction and nothing else', () => {
    assert.deepEqual(rulesAt(rules, 'none'), { ...rules, query: [] });
    assert.equal(rulesAt(rules, 'full'), rules);
  });

  it('over TCP only what opens a connection that is remembered is led, where any can be remembered', () => {
    for (const rule of rules.query)
      assert.equal(rule.synMark, rule.protocol === 'tcp' ? 0x1000 : undefined, rule.id);
    assert.deepEqual(
      rules.tcpAffinities.map(({ family, addresses, port, mark }) => [
        family,
        addresses,
        port,
        mark,
      ]),
      [
        [4, ['169.254.20.10', '10.96.0.10'], 53, 0x1000],
        [6, ['fd00::a'], 53, 0x1000],
      ],
    );
    for (const interception of ['full', 'socket-guarded', 'none'] as const)
      assert.equal(rulesAt(rules, interception).tcpAffinities, rules.tcpAffinities);
    const { query, tcpAffinities: flows } = withoutTcpAffinity(rules);
    assert.deepEqual(flows, []);
    assert.deepEqual(ids(query), ids(rules.query));
    assert.ok(query.every((rule) => !('synMark' in rule)));
  });

  it('answers stay untracked for good: source address and port, at output', () => {
    const replies = rules.standing.filter((rule) => rule.id.startsWith('reply'));
    assert.equal(replies.length, 4);
    for (const rule of replies) {
      assert.equal(rule.side, 'source');
      assert.equal(rule.hook, 'output');
      assert.equal(rule.port, 53);
      assert.equal(rule.verdict, 'notrack');
    }
  });

  it('health goes untracked over TCP only, and not at all without a port', () => {
    const health = rules.standing.filter((rule) => rule.id.startsWith('health'));
    assert.deepEqual(ids(health), [
      'health-query-tcp4',
      'health-query-tcp6',
      'health-reply-tcp4',
      'health-reply-tcp6',
    ]);
    const without = planOf({ ...OPTIONS, healthPort: undefined });
    const all = [...without.rules.standing, ...without.rules.accept];
    assert.ok(all.every((rule) => rule.port === 53));
  });

  it('accepts cover both directions of both hooks', () => {
    const dns = rules.accept.filter((rule) => rule.id.startsWith('accept-dns'));
    assert.equal(dns.length, 16);
    const fromAnywhere = dns.filter((rule) => rule.hook === 'input' && !rule.fromLoopback);
    assert.ok(fromAnywhere.every((rule) => rule.side === 'destination'));
  });

  it('names rules uniquely and gives each only addresses of its family', () => {
    const all = [...rules.query, ...rules.standing, ...rules.accept];
    assert.equal(new Set(ids(all)).size, all.length);
    for (const rule of all)
      assert.deepEqual(
        rule.addresses,
        rule.family === 4 ? ['169.254.20.10', '10.96.0.10'] : ['fd00::a'],
      );
  });

  it('one family makes rules of one family', () => {
    const only4 = planOf({ ...OPTIONS, localIps: ['169.254.20.10'] }).rules;
    assert.ok([...only4.query, ...only4.standing, ...only4.accept].every((r) => r.family === 4));
  });
});
