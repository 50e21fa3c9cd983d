import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { makeFlowRemover } from '../../../../init/endpoints/conntrack.ts';
import { type Endpoints, NO_ENDPOINTS } from '../../../../init/endpoints/set.ts';
import { addressesIn } from '../../../../init/firewall/backend.ts';
import { endpointsIn } from '../../../../init/firewall/nft/endpoint-dnat.ts';
import { NftFallback } from '../../../../init/firewall/nft/fallback.ts';
import { allRules } from '../../../../init/plan/desired-rules.ts';
import type { EndpointDnat } from '../../../../init/plan/fallback.ts';
import { planOf } from '../../../../init/plan/plan.ts';
import { failure, fakeLog, fakeSystem, PLAN_BASICS, type Script } from '../fake-system.ts';

const LOCAL = '169.254.20.10';
const LOCAL6 = 'fd00::10';

const V4 = { udp: [{ address: '10.2.0.2', port: 53 }], tcp: [{ address: '10.2.0.3', port: 1053 }] };
const BOTH: Endpoints = {
  udp: [...V4.udp, { address: 'fd02::2', port: 53 }],
  tcp: [...V4.tcp, { address: 'fd02::2', port: 1053 }],
};

function planFor(localIps: string[], clusterIps: string[]) {
  return allRules(planOf({ ...PLAN_BASICS, localIps, clusterIps }));
}

const DNAT: EndpointDnat = { family: 4, from: LOCAL, port: 53, endpoints: V4 };

function textOf(...endpointDnats: EndpointDnat[]): string {
  const rules = planFor([LOCAL], []);
  const fallback = { ...rules.fallback, endpointDnats };
  return new NftFallback(fakeSystem().system).explain({ ...rules, fallback });
}

describe('rules to endpoints', () => {
  it('choose an endpoint for each flow, count each packet, and skip untracked packets', () => {
    const text = textOf(DNAT);
    for (const hook of ['prerouting', 'output']) {
      assert.ok(
        text.includes(`chain endpoint_${hook} {\n    type nat hook ${hook} priority -110;`),
        text,
      );
      assert.ok(
        text.includes(`chain count_${hook} {\n    type filter hook ${hook} priority -150;`),
        text,
      );
    }
    const match = `udp dport 53 ip daddr ${LOCAL}`;
    assert.ok(
      text.includes(`${match} counter dnat ip to numgen random mod 1 map { 0 : 10.2.0.2 . 53 } `),
    );
    assert.ok(
      text.includes(`${match} ct state != untracked counter continue comment "nodens:fallback-`),
    );
    assert.match(
      text,
      /saddr \. ip daddr { 10\.2\.0\.2 \. 10\.2\.0\.2, 10\.2\.0\.3 .* counter masquerade/,
    );
  });

  it('do not exist for a transport without endpoints', () => {
    const text = textOf({ ...DNAT, endpoints: { ...V4, tcp: [] } });
    assert.doesNotMatch(text, /tcp/);
    assert.doesNotMatch(textOf({ ...DNAT, endpoints: NO_ENDPOINTS }), /count_|endpoint_|hairpin/);
  });

  it('can be read back, and their endpoints do not count as local IPs', () => {
    const six: EndpointDnat = {
      family: 6,
      from: LOCAL6,
      port: 53,
      endpoints: { udp: [], tcp: [{ address: 'fd02::2', port: 53 }] },
    };
    const text = textOf(DNAT, six).replaceAll('counter', 'counter packets 3 bytes 200');
    assert.deepEqual(endpointsIn(text), { ...V4, tcp: [...V4.tcp, ...six.endpoints.tcp] });
    assert.deepEqual([...new Set(addressesIn(text))].sort(), [LOCAL, LOCAL6]);
    assert.deepEqual(
      endpointsIn('udp dport 53 dnat to numgen inc mod 1 map { 0 : x . y }'),
      NO_ENDPOINTS,
    );
  });
});

describe('flows to kube-dns endpoints that are gone', () => {
  async function forget(script: Script, gone: Endpoints) {
    const { system, calls } = fakeSystem(script);
    const { log, lines } = fakeLog();
    const end = makeFlowRemover(system.run, log, [DNAT]);
    await end(gone);
    await end(gone);
    const commands = calls.map(({ command }) => command);
    return { commands: commands.slice(0, commands.length / 2), lines };
  }

  it('are removed by local IP, transport and port, with flows without translation', async () => {
    const none = failure('conntrack', 'conntrack v1.4.7: 0 flow entries have been deleted.');
    const { commands, lines } = await forget(() => none, BOTH);
    const flow = (protocol: string) =>
      `conntrack -D -f ipv4 -p ${protocol} --orig-dst ${LOCAL} --orig-port-dst 53`;
    assert.deepEqual(commands, [
      `${flow('udp')} --reply-src 10.2.0.2 --reply-port-src 53`,
      `${flow('tcp')} --reply-src 10.2.0.3 --reply-port-src 1053`,
      `${flow('udp')} --reply-src ${LOCAL}`,
    ]);
    assert.deepEqual(lines, []);
  });

  it('stay if conntrack is missing, and init logs it once', async () => {
    const missing = Object.assign(failure('conntrack', 'spawn conntrack ENOENT'), {
      exitCode: undefined,
    });
    const { lines } = await forget(() => missing, V4);
    assert.deepEqual(lines, [
      'warn flows to kube-dns endpoints that are gone stay until they time out',
    ]);
  });
});
