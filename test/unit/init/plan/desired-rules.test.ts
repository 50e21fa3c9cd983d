import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  allRules,
  desiredRules,
  fingerprintOf,
  type RuleState,
} from '../../../../init/plan/desired-rules.ts';
import { planOf, type Rule, type RuleSet } from '../../../../init/plan/plan.ts';
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

const ENDPOINTS = {
  udp: [{ address: '10.2.0.2', port: 53 }],
  tcp: [{ address: '10.2.0.2', port: 53 }],
};

/** A node where all is ready: the kernel has all features, and kube-proxy serves the ClusterIP of kube-dns. */
const READY: RuleState = { ...INTERCEPTING, servedIps: [VIP] };

/**
 * Which rules exist on a node. Kinds of rules:
 *
 * query-pod, query-host   queries of pods and of host clients go to the agent
 * probe, reply, health    probes of init, replies and health checks bypass connection tracking
 * accept                  ACCEPTs where another program's policy drops
 * tcp-affinity            the kernel remembers TCP connections
 * rewrite                 fallback: 169.254.20.10 becomes the ClusterIP of kube-dns
 * endpoint-dnat           fallback: 169.254.20.10 becomes an endpoint of kube-dns
 * masquerade              packets from a local IP that leave the node
 * kept                    probe, reply and accept rules for local IPs of earlier settings
 */
const STANDING = 'probe reply health accept masquerade';

const TABLE: readonly (readonly [state: string, Partial<RuleState>, rules: string])[] = [
  // The life of an agent. The fallback's rules stay: they see only packets that query rules did not untrack.
  [
    'init has started; the agent is not ready yet',
    { interception: 'none' },
    `${STANDING} tcp-affinity rewrite`,
  ],
  [
    'the agent answers init on each local IP',
    { interception: 'full' },
    `${STANDING} tcp-affinity rewrite query-pod query-host`,
  ],
  [
    'the agent hangs: init has withdrawn interception',
    { interception: 'none' },
    `${STANDING} tcp-affinity rewrite`,
  ],
  [
    'the agent has asked to withdraw, or has ended',
    { interception: 'none' },
    `${STANDING} tcp-affinity rewrite`,
  ],
  ['init stops', { interception: 'none' }, `${STANDING} tcp-affinity rewrite`],
  [
    'init stops with --skipteardown, or was started with --once',
    { interception: 'socket-guarded' },
    `${STANDING} tcp-affinity rewrite query-pod`,
  ],
  // The fallback.
  [
    'kube-proxy does not know the ClusterIP yet; no endpoint is known',
    { servedIps: [] },
    `${STANDING} tcp-affinity query-pod query-host`,
  ],
  [
    'kube-proxy is in IPVS mode; endpoints are known',
    { servedIps: [], endpoints: ENDPOINTS },
    `${STANDING} tcp-affinity endpoint-dnat query-pod query-host`,
  ],
  [
    'kube-proxy serves the ClusterIP; endpoints are known as well',
    { endpoints: ENDPOINTS },
    `${STANDING} tcp-affinity rewrite query-pod query-host`,
  ],
  [
    'the agent hangs; only endpoints are known',
    { interception: 'none', servedIps: [], endpoints: ENDPOINTS },
    `${STANDING} tcp-affinity endpoint-dnat`,
  ],
  // What the kernel does not have.
  [
    'the kernel cannot remember TCP connections',
    { hasTcpAffinity: false },
    `${STANDING} rewrite query-pod query-host`,
  ],
  [
    'the kernel has no nf_tables, or nft is missing',
    { hasTcpAffinity: false, hasFallback: false },
    'probe reply health accept query-pod query-host',
  ],
  // Other local IPs.
  [
    'an agent of earlier settings still answers',
    { keptIps: ['10.96.0.99'] },
    `${STANDING} tcp-affinity rewrite query-pod query-host kept`,
  ],
  [
    'the agent of earlier settings is gone',
    { removedIps: ['10.96.0.99'] },
    `${STANDING} tcp-affinity rewrite query-pod query-host`,
  ],
];

function kindsOf({ query, standing, accept, tcpAffinities, fallback, kept }: RuleSet): Set<string> {
  const kindOf = ({ id }: Rule): string =>
    id.replace(/-(udp|tcp)[46]$/, '').replace(/^(accept|health)-.*/, '$1');
  return new Set([
    ...[...query, ...standing, ...accept].map(kindOf),
    ...tcpAffinities.map(() => 'tcp-affinity'),
    ...fallback.rewrites.map(() => 'rewrite'),
    ...fallback.endpointDnats.map(() => 'endpoint-dnat'),
    ...fallback.masquerades.map(() => 'masquerade'),
    ...[...kept.standing, ...kept.accept].map(() => 'kept'),
  ]);
}

describe('rules that exist while', () => {
  for (const [state, differences, rules] of TABLE)
    it(state, () => {
      const kinds = kindsOf(desiredRules(PLAN, { ...READY, ...differences }));
      assert.deepEqual([...kinds].sort(), rules.split(' ').sort());
    });
});

/** Each combination of what decides which rules exist. */
const STATES: readonly RuleState[] = (['full', 'socket-guarded', 'none'] as const).flatMap(
  (interception) =>
    [true, false].flatMap((hasTcpAffinity) =>
      [true, false].flatMap((hasFallback) =>
        [[], [VIP]].flatMap((servedIps) =>
          [INTERCEPTING.endpoints, ENDPOINTS].flatMap((endpoints) =>
            [[], ['10.96.0.99']].map((keptIps) => ({
              ...{ interception, hasTcpAffinity, hasFallback, servedIps, endpoints, keptIps },
              removedIps: [],
            })),
          ),
        ),
      ),
    ),
);

describe('in every state', () => {
  const { standing, accept } = allRules(PLAN);

  it('standing rules and ACCEPTs are the same', () => {
    assert.equal(STATES.length, 96);
    for (const state of STATES) {
      const rules = desiredRules(PLAN, state);
      assert.deepEqual(rules.standing, standing);
      assert.deepEqual(rules.accept, accept);
    }
  });

  it('query rules depend on interception and on TCP affinity only', () => {
    const seen = new Map<string, string>();
    for (const state of STATES) {
      const key = `${state.interception} ${state.hasTcpAffinity}`;
      const text = JSON.stringify(desiredRules(PLAN, state).query);
      assert.equal(seen.get(key) ?? text, text, key);
      seen.set(key, text);
    }
    assert.equal(
      new Set(seen.values()).size,
      5,
      'not two sets for each interception, and one for none',
    );
  });

  it('a local IP has at most one fallback, and interception does not change it', () => {
    for (const state of STATES) {
      const { fallback } = desiredRules(PLAN, state);
      const { rewrites, endpointDnats } = fallback;
      const from = [...rewrites, ...endpointDnats].map((rule) => rule.from);
      const isKnown = state.servedIps.length > 0 || state.endpoints.udp.length > 0;
      assert.deepEqual(from, state.hasFallback && isKnown ? [LOCAL] : []);
      for (const interception of ['full', 'socket-guarded', 'none'] as const)
        assert.deepEqual(desiredRules(PLAN, { ...state, interception }).fallback, fallback);
    }
  });

  it('kept local IPs change no rule of our own, and no fingerprint', () => {
    for (const state of STATES) {
      const [with99, without99] = [['10.96.0.99'], []].map((keptIps) =>
        desiredRules(PLAN, { ...state, keptIps }),
      ) as [RuleSet, RuleSet];
      assert.equal(fingerprintOf(with99), fingerprintOf(without99));
      assert.deepEqual(with99.query, without99.query);
    }
  });
});
