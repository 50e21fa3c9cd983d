import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FallbackReadiness } from '../../../../init/control/fallback-readiness.ts';
import { type Endpoints, NO_ENDPOINTS } from '../../../../init/endpoints/set.ts';
import { CommandError } from '../../../../init/node/exec.ts';
import { fallbackNow } from '../../../../init/plan/fallback.ts';
import { planOf } from '../../../../init/plan/plan.ts';
import { fakeLog, PLAN_BASICS } from '../fake-system.ts';

const LOCAL = '169.254.20.10';
const LOCAL6 = 'fd00::10';
const VIP = '10.96.0.10';

const V4 = { udp: [{ address: '10.2.0.2', port: 53 }], tcp: [{ address: '10.2.0.3', port: 1053 }] };
const BOTH: Endpoints = {
  udp: [...V4.udp, { address: 'fd02::2', port: 53 }],
  tcp: [...V4.tcp, { address: 'fd02::2', port: 1053 }],
};

describe('fallback through kube-proxy', () => {
  const { fallback: possible } = planOf({ ...PLAN_BASICS, localIps: [LOCAL], clusterIps: [VIP] });

  function setup(obstacle?: string, isFault = false) {
    const node = { served: false, asked: 0, error: undefined as Error | undefined };
    const { log, lines } = fakeLog();
    const isServed = async (): Promise<boolean> => {
      node.asked++;
      if (node.error !== undefined) throw node.error;
      return node.served;
    };
    return {
      node,
      lines,
      readiness: new FallbackReadiness({
        ...{ possible, isServed, obstacle, isFault },
        ...{ endpoints: undefined, log },
      }),
    };
  }

  it('is ready once kube-proxy serves the ClusterIP, and is not checked again', async () => {
    const { node, lines, readiness } = setup();
    assert.deepEqual((await readiness.look()).servedIps, []);
    assert.equal(readiness.isPending, true);
    node.served = true;
    assert.deepEqual((await readiness.look()).servedIps, [VIP]);
    node.served = false;
    assert.deepEqual((await readiness.look()).servedIps, [VIP]);
    assert.deepEqual([readiness.isPending, node.asked], [false, 2]);
    assert.deepEqual(readiness.readyIps, [LOCAL]);
    assert.deepEqual(lines, ['info fallback', 'info fallback']);
  });

  it('is a warning where it cannot be had, or where the kernel does not say who serves', async () => {
    const without = setup('it needs nft', true);
    await without.readiness.look();
    assert.deepEqual(without.lines, ['warn fallback']);
    const { node, lines, readiness } = setup();
    node.error = new CommandError('iptables-legacy-save -t nat', undefined, '', true);
    assert.deepEqual((await readiness.look()).servedIps, []);
    assert.equal(readiness.isPending, true);
    [node.error, node.served] = [undefined, true];
    assert.deepEqual((await readiness.look()).servedIps, [VIP]);
    assert.deepEqual(lines, ['warn fallback', 'info fallback']);
  });

  it('is never ready where there is an obstacle, which is logged once', async () => {
    const { node, lines, readiness } = setup('IPVS');
    node.served = true;
    await readiness.look();
    assert.deepEqual((await readiness.look()).servedIps, []);
    assert.deepEqual([readiness.isPending, node.asked], [false, 0]);
    assert.deepEqual([readiness.readyIps, lines], [[], ['info fallback']]);
  });
});

function readinessWith(
  endpoints: { known: Endpoints; reason: string },
  options: { clusterIps?: string[]; served?: boolean },
) {
  const { log } = fakeLog();
  const logged: unknown[] = [];
  let wanted = 0;
  const clusterIps = options.clusterIps ?? [VIP, 'fd00::a'];
  const plan = planOf({ ...PLAN_BASICS, localIps: [LOCAL, LOCAL6], clusterIps });
  const readiness = new FallbackReadiness({
    possible: plan.fallback,
    isServed: async (ip) => options.served === true && ip === VIP,
    obstacle: undefined,
    endpoints: { ...endpoints, want: () => void wanted++ },
    log: { ...log, info: (_, fields) => void logged.push(fields) },
  });
  return { plan, readiness, logged, wanted: () => wanted };
}

describe('fallback to endpoints', () => {
  it("exists for each family that kube-proxy's rules do not serve", async () => {
    const known = { known: BOTH, reason: '' };
    const { plan, readiness, logged, wanted } = readinessWith(known, { served: true });
    const { rewrites, endpointDnats } = fallbackNow(plan.fallback, await readiness.look());
    assert.deepEqual(
      rewrites.map(({ to }) => to),
      [VIP],
    );
    assert.deepEqual(
      endpointDnats.map(({ from }) => from),
      [LOCAL6],
    );
    assert.deepEqual(endpointDnats[0]?.endpoints.tcp, [{ address: 'fd02::2', port: 1053 }]);
    assert.deepEqual(readiness.readyIps, [LOCAL, LOCAL6]);
    assert.equal(wanted(), 1);
    const endpoints = ['udp [fd02::2]:53', 'tcp [fd02::2]:1053'];
    const reason = 'no rules of kube-proxy for fd00::a yet';
    assert.deepEqual(logged, [{ localIps: [LOCAL, LOCAL6], endpoints, reason }]);
  });

  it('needs no ClusterIP; without endpoints it is not ready, and the log says why', async () => {
    const known = readinessWith({ known: V4, reason: '' }, { clusterIps: [] });
    await known.readiness.look();
    assert.deepEqual(known.readiness.readyIps, [LOCAL]);
    const silent = { known: NO_ENDPOINTS, reason: 'no server answers' };
    const unknown = readinessWith(silent, { clusterIps: [] });
    await unknown.readiness.look();
    const reason = 'the ClusterIP of kube-dns is not known; no server answers';
    assert.deepEqual(
      [unknown.readiness.readyIps, unknown.logged],
      [[], [{ localIps: [], reason }]],
    );
  });

  it("asks for no endpoints where kube-proxy's rules serve the ClusterIP", async () => {
    const options = { clusterIps: [VIP], served: true };
    const { readiness, wanted } = readinessWith({ known: BOTH, reason: '' }, options);
    assert.deepEqual((await readiness.look()).endpoints, NO_ENDPOINTS);
    assert.equal(wanted(), 0);
  });

  it('is a warning when endpoints that were the fallback are gone', async () => {
    const follower = { known: V4, reason: '', want: () => undefined };
    const { log, lines } = fakeLog();
    const { fallback } = planOf({ ...PLAN_BASICS, localIps: [LOCAL], clusterIps: [] });
    const readiness = new FallbackReadiness({
      ...{ possible: fallback, isServed: async () => false, obstacle: undefined },
      ...{ endpoints: follower, log },
    });
    await readiness.look();
    Object.assign(follower, { known: NO_ENDPOINTS, reason: 'no server answers' });
    await readiness.look();
    assert.deepEqual(lines, ['info fallback', 'warn fallback']);
  });
});
