import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RCODE } from '../../../../agent/dns/iana.ts';
import { setup } from '../../../../agent/plugins/autopath/setup.ts';
import type { Answer } from '../../../../agent/query/answer.ts';
import { clientAt } from '../../../../agent/query/query.ts';
import { parseDirective } from '../../../support/corefiles/parse.ts';
import { queryFor } from '../../../support/dns/queries.ts';
import type { FakeWatch } from '../../../support/kubernetes/fake-api.ts';
import { Names } from '../../../support/kubernetes/names.ts';
import { pod } from '../../../support/kubernetes/pods.ts';
import { fakeServices } from '../../../support/services.ts';

const NAME = 'api.example.com';
const PATH = '/api/v1/pods';

interface Node {
  readonly watch: FakeWatch;
  readonly services: ReturnType<typeof fakeServices>;
  readonly stop: () => void;
  /** Whether autopath answers the first query of this pod's walk for `name`. */
  readonly isAnswered: (address?: string, namespace?: string, name?: string) => Promise<boolean>;
  readonly results: (result: string) => number;
}

/** `autopath @node` on a node with this resolv.conf. */
async function node(
  directive = 'autopath @node',
  keys = 'cluster.local',
  file = '',
): Promise<Node> {
  const names = new Names({
    [`${NAME}.`]: { A: ['192.0.2.7'] },
    'intra.corp.example.': { A: ['192.0.2.8'] },
  });
  const services = fakeServices({ resolveNow: names.resolveNow });
  services.texts.set('/etc/resolv.conf', file);
  const parsed = parseDirective(directive, keys);
  const plugin = setup(parsed.directive, parsed.block, services);
  await plugin.prepare?.('at once');
  plugin.start?.();
  const domain = keys.startsWith('lab') ? 'lab.internal' : 'cluster.local';
  const isAnswered: Node['isAnswered'] = async (
    address = '10.244.0.7',
    namespace = 'shop',
    name = NAME,
  ) => {
    const query = queryFor(`${name}.${namespace}.svc.${domain}`, 'A', {
      client: clientAt(address, 1),
    });
    query.arrivedMs = services.clock.nowMs();
    const answer = (await plugin.handle?.(query, names.next)) as Answer;
    return answer.rcode === RCODE.NOERROR;
  };
  return {
    ...{ services, isAnswered },
    watch: services.kubernetes.watchOf(PATH),
    stop: () => plugin.stop?.(),
    results: (result) => services.metrics.value('nodens_autopath_total', { result }),
  };
}

describe('autopath @node', () => {
  it('watches the pods of this node, and serves them once it knows them', async () => {
    const { watch, isAnswered, results, services } = await node();
    assert.equal(watch.options.fieldSelector, 'spec.nodeName=worker-1');
    assert.equal(await isAnswered(), false);
    watch.put(pod());
    assert.equal(await isAnswered(), false, 'before the list is complete');
    assert.equal(results('stale_watch'), 2);
    watch.list([pod()]);
    assert.equal(await isAnswered('10.244.0.8'), false);
    await services.clock.advance(5_000);
    assert.equal(await isAnswered(), true);
    assert.equal(services.kubernetes.accesses.length, 1);
  });

  it('tells commands which pods it knows, until it stops', async () => {
    const { watch, services, stop } = await node();
    const { pods } = services;
    watch.list([pod(), pod({ name: 'web-1', ips: ['10.244.0.8'], namespace: 'bank' })]);
    assert.equal(pods.at('10.244.0.8')?.name, 'bank/web-1');
    assert.deepEqual(
      pods.named('web-1').map(({ name }) => name),
      ['shop/web-1', 'bank/web-1'],
    );
    assert.deepEqual(pods.named('shop/web-1')[0]?.search, {
      domains: ['shop.svc.cluster.local.', 'svc.cluster.local.', 'cluster.local.'],
      ndots: 5,
    });
    watch.put(pod({ name: 'twin', ips: ['10.244.0.8'] }));
    assert.equal(pods.at('10.244.0.8'), undefined, 'two pods have it');
    stop();
    assert.equal(pods.at('10.244.0.7'), undefined);
  });

  it('leaves a client alone whose walk began before it knew the pods', async () => {
    const { watch, isAnswered } = await node('autopath @node', '.', 'search corp.example\n');
    const whole = 'intra.shop.svc.cluster.local';
    assert.equal(await isAnswered('10.244.0.7', 'shop', whole), false);
    watch.list([pod()]);
    // Its last question is for the name as it is, which looks like an expansion.
    assert.equal(await isAnswered('10.244.0.7', 'shop', 'intra'), false);
    assert.equal(await isAnswered('10.244.0.7', 'shop', 'api.example.com'), true);
  });

  it('serves each pod by its own list', async () => {
    const { watch, isAnswered } = await node('autopath @kubernetes', '.', 'search corp.example\n');
    watch.list([
      pod(),
      pod({ name: 'two', ips: ['10.244.0.8', 'fd00::8'], namespace: 'bank' }),
      pod({ name: 'default', ips: ['10.244.0.9'], dnsPolicy: 'Default' }),
      pod({
        name: 'dots',
        ips: ['10.244.0.10'],
        dnsConfig: { options: [{ name: 'ndots', value: '2' }] },
      }),
    ]);
    assert.equal(await isAnswered('10.244.0.7', 'shop', 'intra'), true);
    assert.equal(await isAnswered('10.244.0.7', 'bank', 'intra'), false, 'not its namespace');
    assert.equal(await isAnswered('10.244.0.8', 'bank'), true);
    assert.equal(await isAnswered('fd00::8', 'bank'), true);
    assert.equal(await isAnswered('10.244.0.9', 'shop'), false, "its list is the node's");
    assert.equal(await isAnswered('10.244.0.10', 'shop'), false, 'as many dots as ndots');
    assert.equal(await isAnswered('10.244.0.10', 'shop', 'intra'), true);
  });

  it('takes the cluster domain from its zones, else from resolv.conf', async () => {
    const zone = await node('autopath @node', 'lab.internal in-addr.arpa');
    zone.watch.list([pod()]);
    assert.equal(await zone.isAnswered(), true);
    const file =
      'search kube-system.svc.lab.internal svc.lab.internal lab.internal corp.example\noptions ndots:5\n';
    const own = await node('autopath @node', 'lab.internal .', file);
    own.watch.list([pod(), pod({ name: 'd', ips: ['10.244.0.9'], dnsPolicy: 'Default' })]);
    assert.equal(
      await own.isAnswered('10.244.0.7', 'shop', 'intra'),
      true,
      "the node's own domain",
    );
    assert.equal(await own.isAnswered('10.244.0.9'), false);
  });

  it('does nothing for a client that it is not sure of, and counts why', async () => {
    const { watch, isAnswered, results, services } = await node();
    const host = { hostNetwork: true, ips: ['192.168.1.1'] };
    watch.list([
      pod(),
      pod({ name: 'host', ...host }),
      pod({ name: 'twin', ips: ['10.244.0.8'] }),
      pod({ name: 'twin2', ips: ['10.244.0.8'] }),
    ]);
    assert.equal(await isAnswered('10.244.0.99'), false);
    assert.equal(await isAnswered('192.168.1.1'), false);
    assert.equal(await isAnswered('10.244.0.8'), false);
    watch.put(pod({ isLeaving: true }));
    assert.equal(await isAnswered(), false);
    assert.deepEqual(
      ['unknown_client', 'host_network', 'shared_address', 'changed_address'].map(results),
      [1, 1, 1, 1],
    );
    watch.delete(pod({ name: 'twin2' }));
    assert.equal(await isAnswered('10.244.0.8'), false, 'either of them may have been right');
    await services.clock.advance(10_000);
    watch.contact();
    assert.equal(await isAnswered('10.244.0.8'), true);
  });

  it('waits 10 s after an address has got another pod', async () => {
    const { watch, isAnswered, services } = await node();
    watch.list([pod()]);
    assert.equal(await isAnswered(), true, 'an address without a past');
    watch.delete(pod());
    assert.equal(await isAnswered(), false);
    await services.clock.advance(5_000);
    watch.put(pod({ name: 'next', namespace: 'bank' }));
    for (const waitMs of [0, 5_000, 4_900]) {
      await services.clock.advance(waitMs);
      watch.contact();
      assert.equal(await isAnswered('10.244.0.7', 'bank'), false);
    }
    await services.clock.advance(100);
    assert.equal(await isAnswered('10.244.0.7', 'bank'), true);
    assert.equal(await isAnswered('10.244.0.7', 'shop'), false);
    // A pod of the same name is another pod.
    watch.put(pod({ name: 'next', namespace: 'bank', uid: 'new' }));
    assert.equal(await isAnswered('10.244.0.7', 'bank'), false);
  });

  it('is not disturbed by events that change nothing', async () => {
    const { watch, isAnswered } = await node();
    watch.list([pod()]);
    watch.put(pod());
    watch.list([pod()]);
    assert.equal(await isAnswered(), true);
  });

  it('takes a pod that has ended for gone', async () => {
    const { watch, isAnswered } = await node();
    watch.list([pod(), pod({ name: 'job', phase: 'Succeeded' })]);
    assert.equal(await isAnswered(), true);
    watch.put(pod({ phase: 'Failed' }));
    assert.equal(await isAnswered(), false);
  });

  it('does nothing while the watch is older than 30 s', async () => {
    const { watch, isAnswered, services, results } = await node();
    watch.list([pod()]);
    await services.clock.advance(30_000);
    assert.equal(await isAnswered(), true);
    await services.clock.advance(1);
    assert.equal(await isAnswered(), false);
    assert.equal(results('stale_watch'), 1);
    watch.contact();
    assert.equal(await isAnswered(), true);
    assert.ok((watch.options.contactEveryMs ?? Infinity) < 30_000);
  });

  it('counts denied expansions by namespace, of a bounded number', async () => {
    const { watch, isAnswered, services } = await node();
    const pods = Array.from({ length: 120 }, (_, n) =>
      pod({ name: `p${n}`, namespace: `ns${n}`, ips: [`10.244.1.${n}`] }),
    );
    watch.list(pods);
    for (let n = 0; n < 120; n++) await isAnswered(`10.244.1.${n}`, `ns${n}`);
    const of = (namespace: string) =>
      services.metrics.value('nodens_autopath_denied_expansions_total', {
        client_namespace: namespace,
      });
    assert.deepEqual([of('ns0'), of('ns99'), of('ns100'), of('other')], [1, 1, 0, 20]);
  });

  it('ends its watch with the configuration', async () => {
    const { watch, stop } = await node();
    stop();
    assert.equal(watch.isClosed, true);
  });
});
