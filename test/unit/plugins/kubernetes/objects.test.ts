/** What is kept of objects, and that no object of an API server can break it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { addressBytes } from '../../../../agent/base/address.ts';
import { nameFromText } from '../../../../agent/dns/name.ts';
import {
  bytesOf,
  keyOf,
  namespaceOf,
  nodeZoneOf,
  podOf,
  serviceOf,
  sliceOf,
} from '../../../../agent/plugins/kubernetes/objects.ts';
import type { ApiObject } from '../../../../agent/query/services/kubernetes.ts';
import { podObject, serviceObject, sliceObject } from '../../../support/kubernetes/objects.ts';

const NO_MORE = { usesPodNames: false, keepsZones: false };
const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

describe('bytesOf', () => {
  it('has one character for each byte of an address', () => {
    for (const text of [
      '10.0.0.1',
      '255.255.255.255',
      '0.0.0.0',
      'fd00::1',
      '::',
      '::ffff:1.2.3.4',
    ])
      assert.equal(bytesOf(text), latin1(addressBytes(text)), text);
    for (const text of ['', 'web', '10.0.0', '10.0.0.256', '01.0.0.1', 'fe80::1%eth0', 'None'])
      assert.equal(bytesOf(text), undefined, text);
  });
});

describe('serviceOf', () => {
  it('keeps what records need', () => {
    const object = serviceObject('shop/web', {
      ips: ['10.96.0.1', 'fd00::1'],
      ports: ['http:80', 'dns:53/UDP'],
    });
    assert.deepEqual(serviceOf(object), {
      namespace: 'shop',
      name: 'web',
      kept: {
        kind: 'cluster',
        addresses: ['10.96.0.1', 'fd00::1'].map((text) => bytesOf(text)),
        target: '',
        publishesNotReady: false,
        ports: [
          { name: 'http', protocol: 'tcp', port: 80 },
          { name: 'dns', protocol: 'udp', port: 53 },
        ],
      },
    });
  });

  it('knows the kinds, and objects of API servers without clusterIPs', () => {
    const spec = (spec: ApiObject): ApiObject => ({
      metadata: { namespace: 'a', name: 'b' },
      spec,
    });
    const kindOf = (fields: ApiObject): unknown => serviceOf(spec(fields))?.kept.kind;
    assert.equal(kindOf({ clusterIP: 'None' }), 'headless');
    assert.equal(kindOf({ clusterIP: '10.0.0.1' }), 'cluster');
    assert.equal(kindOf({}), 'cluster');
    assert.equal(kindOf({ type: 'ExternalName', externalName: 'x.test' }), 'alias');
    assert.equal(
      serviceOf(spec({ type: 'ExternalName', externalName: 'X.test' }))?.kept.target,
      latin1(nameFromText('x.test')),
    );
    for (const externalName of ['', '192.0.2.1', 'fd00::1', 'a..b', 'x'.repeat(64), undefined])
      assert.equal(serviceOf(spec({ type: 'ExternalName', externalName }))?.kept.target, '');
  });

  it('shares equal lists of ports', () => {
    const ports = ['http:80', 'metrics:9090'];
    const lists = ['a/a', 'b/b'].map(
      (path) => serviceOf(serviceObject(path, { ports }))?.kept.ports,
    );
    assert.equal(lists[0], lists[1]);
  });

  it('leaves out a Service whose name cannot be asked for', () => {
    for (const name of ['a.b', '', 'x'.repeat(64), undefined, 7])
      assert.equal(serviceOf({ metadata: { namespace: 'a', name }, spec: {} }), undefined);
  });
});

describe('sliceOf', () => {
  it('keeps endpoints that are not ready, and their hostnames', () => {
    const object = sliceObject(
      'shop/web-x.y',
      'web',
      ['web-0=10.0.0.1', '!10.0.0.2@pod-2'],
      ['http:80'],
    );
    const kept = (usesPodNames: boolean) =>
      sliceOf(object, { usesPodNames, keepsZones: usesPodNames });
    assert.deepEqual(kept(false)?.kept.endpoints, [
      { address: bytesOf('10.0.0.1'), host: 'web-0', zone: '', isReady: true },
      { address: bytesOf('10.0.0.2'), host: '', zone: '', isReady: false },
    ]);
    assert.equal(kept(true)?.kept.endpoints[1]?.host, 'pod-2');
    assert.equal(kept(true)?.kept.endpoints[1]?.zone, 'zone-a');
    assert.deepEqual([kept(true)?.service, kept(true)?.name], ['web', 'web-x.y']);
  });

  it('takes a missing condition as ready', () => {
    const object = { ...sliceObject('a/b', 'c', []), endpoints: [{ addresses: ['10.0.0.1'] }] };
    assert.equal(sliceOf(object, NO_MORE)?.kept.endpoints[0]?.isReady, true);
  });

  it('keeps no zone that is too long for one of a Node', () => {
    const endpoint = { addresses: ['10.0.0.1'], zone: 'z'.repeat(64) };
    const object = { ...sliceObject('a/b', 'c', []), endpoints: [endpoint] };
    const read = sliceOf(object, { usesPodNames: false, keepsZones: true });
    assert.equal(read?.kept.endpoints[0]?.zone, '');
  });

  it('leaves out a slice without a Service', () => {
    const { labels: _, ...metadata } = sliceObject('a/b', 'c', []).metadata as ApiObject;
    assert.equal(sliceOf({ metadata, endpoints: [] }, NO_MORE), undefined);
  });
});

describe('podOf', () => {
  it('keeps the addresses of both families while the pod lives', () => {
    const ips = ['10.0.0.1', 'fd00::1'];
    const kept = (object: ApiObject) => podOf(object)?.kept;
    assert.deepEqual(
      kept(podObject('a/b.c', ips)),
      ips.map((text) => bytesOf(text)),
    );
    for (const phase of ['Succeeded', 'Failed'])
      assert.deepEqual(kept(podObject('a/b', ips, { phase })), []);
    const pod = podObject('a/b', ips);
    const metadata = { ...(pod.metadata as object), deletionTimestamp: '2026-01-01T00:00:00Z' };
    assert.deepEqual(kept({ ...pod, metadata }), []);
    assert.deepEqual(kept(podObject('a/b', [])), []);
  });
});

describe('any JSON', () => {
  it('is read or left out, never thrown at', () => {
    const leaf = fc.oneof(
      fc.jsonValue(),
      fc.constantFrom('None', 'ExternalName', '10.0.0.1', 'web', 80),
    );
    const fields = [
      'metadata',
      'spec',
      'status',
      'endpoints',
      'ports',
      'name',
      'namespace',
      'labels',
      'addresses',
      'clusterIPs',
      'clusterIP',
      'type',
      'externalName',
      'hostname',
      'targetRef',
      'conditions',
      'podIPs',
      'ip',
      'kubernetes.io/service-name',
    ];
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 4 },
        leaf,
        fc.array(tie('tree'), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom(...fields), tie('tree'), { maxKeys: 6 }),
      ),
    }));
    const object = fc.record(
      {
        metadata: fc.record({ namespace: tree, name: tree, labels: tree }, { requiredKeys: [] }),
        spec: tree,
        status: tree,
        endpoints: tree,
        ports: tree,
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(object, (value) => {
        const json = value as ApiObject;
        for (const read of [serviceOf, podOf, nodeZoneOf, namespaceOf, keyOf]) read(json);
        for (const isKept of [true, false])
          sliceOf(json, { usesPodNames: isKept, keepsZones: isKept });
      }),
      { numRuns: 500, interruptAfterTimeLimit: 5_000 },
    );
  });
});
