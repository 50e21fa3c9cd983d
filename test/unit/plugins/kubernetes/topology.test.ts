/** `topology prefer`: headless answers of the node's own zone, where it has any. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { answerLines } from '../../../support/dns/queries.ts';
import {
  namespaceObject,
  serviceObject,
  sliceObject,
} from '../../../support/kubernetes/objects.ts';
import { recordsOf } from './asking.ts';
import { table } from './shop.ts';
import { ask, begun, NAMESPACES, SERVICES, SLICES } from './watched.ts';

const NODES = '/api/v1/nodes';
const OBJECTS = [
  namespaceObject('shop'),
  serviceObject('shop/db', { ports: ['pg:5432'] }),
  sliceObject(
    'shop/db-4',
    'db',
    ['x=10.0.0.1', '10.0.0.2#b', '!10.0.0.3', '10.0.0.4#b'],
    ['pg:5432'],
  ),
  sliceObject('shop/db-6', 'db', ['x=fd00::1#b'], ['pg:5432']),
  serviceObject('shop/far'),
  sliceObject('shop/far-4', 'far', ['10.0.1.1#b', '!10.0.1.2']),
];

function recordsIn(zone: string) {
  const records = recordsOf(OBJECTS);
  records.nodeZone = zone;
  return records;
}

describe('topology prefer', () => {
  table(
    `
    db.shop.svc A      = A 10.0.0.1
    db.shop.svc AAAA   = AAAA fd00::1
    x.db.shop.svc AAAA = AAAA fd00::1
    10-0-0-2.db.shop.svc A = A 10.0.0.2
    _pg._tcp.db.shop.svc SRV = SRV 0 50 5432 x.db.shop.svc + A 10.0.0.1, AAAA fd00::1
    far.shop.svc A     = A 10.0.1.1
    4.0.0.10.in-addr.arpa. PTR = PTR 10-0-0-4.db.shop.svc`,
    {},
    recordsIn('zone-a'),
  );
  table('db.shop.svc A = A 10.0.0.2, A 10.0.0.4', {}, recordsIn('zone-b'));
  table('db.shop.svc A = A 10.0.0.1, A 10.0.0.2, A 10.0.0.4', {}, recordsIn('zone-c'));
  table('db.shop.svc A = A 10.0.0.1, A 10.0.0.2, A 10.0.0.4', {}, recordsIn(''));

  it('takes the zone of the node from the API server, and does not wait for it', async () => {
    const { plugin, services, next } = await begun(
      'kubernetes cluster.local {\ntopology prefer\n}',
    );
    const api = services.kubernetes;
    api.watchOf(NAMESPACES).list(OBJECTS.slice(0, 1));
    api.watchOf(SERVICES).list([OBJECTS[1] as object as never]);
    api.watchOf(SLICES).list([OBJECTS[2] as object as never]);
    const lines = async () =>
      answerLines(await ask(plugin, 'db.shop.svc.cluster.local', next.handler));
    assert.deepEqual(await lines(), ['A 10.0.0.1', 'A 10.0.0.2', 'A 10.0.0.4']);
    const nodes = api.watchOf(NODES);
    assert.equal(nodes.options.fieldSelector, 'metadata.name=worker-1');
    const labels = { 'topology.kubernetes.io/zone': 'zone-a' };
    nodes.list([{ metadata: { name: 'worker-1', labels } }]);
    assert.deepEqual(await lines(), ['A 10.0.0.1']);
    nodes.list([]);
    assert.equal((await lines()).length, 3);
  });

  it('is off by default: zones are not kept, and no node is watched', async () => {
    const { plugin, services, next } = await begun();
    const api = services.kubernetes;
    assert.equal(
      api.watches.some(({ options }) => options.path === NODES),
      false,
    );
    api.watchOf(NAMESPACES).list(OBJECTS.slice(0, 1));
    api.watchOf(SERVICES).list([OBJECTS[1] as object as never]);
    const slices = api.watchOf(SLICES);
    slices.list([OBJECTS[2] as object as never]);
    const { kept } = slices.options.strip(OBJECTS[2] as never) as {
      kept: { endpoints: { zone: string }[] };
    };
    assert.deepEqual([...new Set(kept.endpoints.map(({ zone }) => zone))], ['']);
    const answer = await ask(plugin, 'db.shop.svc.cluster.local', next.handler);
    assert.equal(answerLines(answer).length, 3);
  });
});
