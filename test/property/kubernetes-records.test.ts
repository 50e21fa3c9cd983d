/** After any events, the records answer as those that are made from the objects that are left. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Records } from '../../agent/plugins/kubernetes/records.ts';
import type { ApiObject } from '../../agent/query/services/kubernetes.ts';
import {
  namespaceObject,
  podObject,
  serviceObject,
  sliceObject,
} from '../support/kubernetes/objects.ts';
import { askRecords, lineOf, put, recordsOf } from '../unit/plugins/kubernetes/asking.ts';

const NAMESPACES = ['a', 'b'];
const NAMES = ['x', 'y'];
const ADDRESSES = ['10.0.0.1', '10.0.0.2', '10.0.0.3', 'fd00::1'];

const namespace = fc.constantFrom(...NAMESPACES);
const name = fc.constantFrom(...NAMES);
const address = fc.constantFrom(...ADDRESSES);
const ports = fc.constantFrom([], ['http:80'], ['http:80', 'dns:53/UDP']);
const endpoint = fc
  .tuple(fc.constantFrom('', '', '!'), fc.constantFrom('', 'h='), address)
  .map((parts) => parts.join(''));

const service = fc.oneof(
  fc.record({ ips: fc.uniqueArray(address, { minLength: 1, maxLength: 2 }), ports }),
  fc.record({ ports, publishNotReadyAddresses: fc.boolean() }),
  fc.record({ externalName: fc.constantFrom('x.a.svc.cluster.local', 'y.b.svc.cluster.local') }),
);

/** A change of one object; without `object` it is deleted. The key names its kind as well. */
interface Change {
  readonly kind: 'namespace' | 'service' | 'slice' | 'pod';
  readonly path: string;
  readonly object: ApiObject;
  readonly isDelete: boolean;
}

const path = fc.tuple(namespace, name).map((parts) => parts.join('/'));
const isDelete = fc.constantFrom(false, false, true);
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.tuple(namespace, isDelete).map(([of, gone]) => ({
    ...{ kind: 'namespace' as const, path: of, object: namespaceObject(of), isDelete: gone },
  })),
  fc.tuple(path, service, isDelete).map(([at, options, gone]) => ({
    ...{ kind: 'service' as const, path: at, object: serviceObject(at, options), isDelete: gone },
  })),
  fc
    .tuple(path, name, fc.array(endpoint, { maxLength: 4 }), ports, isDelete)
    .map(([at, of, endpoints, numbers, gone]) => ({
      kind: 'slice' as const,
      path: at,
      object: sliceObject(at, of, endpoints, numbers),
      isDelete: gone,
    })),
  fc.tuple(path, fc.uniqueArray(address, { maxLength: 2 }), isDelete).map(([at, ips, gone]) => ({
    ...{ kind: 'pod' as const, path: at, object: podObject(at, ips), isDelete: gone },
  })),
);

const DELETES = {
  namespace: (records: Records, path: string) => records.deleteNamespace(path),
  service: (records: Records, path: string) => records.deleteService(...split(path)),
  slice: (records: Records, path: string) => records.deleteSlice(...split(path)),
  pod: (records: Records, path: string) => records.deletePod(...split(path)),
};

function split(path: string): [string, string] {
  return path.split('/') as [string, string];
}

function clusterIpsOf({ spec }: ApiObject): readonly string[] {
  const { clusterIPs = [] } = (spec ?? {}) as { readonly clusterIPs?: readonly string[] };
  return clusterIPs.filter((ip) => ip !== 'None');
}

/** The API server gives no ClusterIP to two Services at the same time. */
function isRefused(left: ReadonlyMap<string, ApiObject>, key: string, object: ApiObject): boolean {
  const others = [...left].filter(([other]) => other !== key && other.startsWith('service '));
  const taken = new Set(others.flatMap(([, other]) => clusterIpsOf(other)));
  return key.startsWith('service ') && clusterIpsOf(object).some((ip) => taken.has(ip));
}

const REVERSE = ADDRESSES.slice(0, 3).map((text) => text.split('.').reverse().join('.'));
const QUESTIONS: readonly string[] = [
  ...NAMESPACES.flatMap((of) => [
    `${of}.svc`,
    ...NAMES.flatMap((service) =>
      ['', 'h.', '10-0-0-1.', '10-0-0-2.', 'fd00--1.', '_tcp.', '_http._tcp.', '_dns._udp.'].map(
        (before) => `${before}${service}.${of}.svc`,
      ),
    ),
    ...['10-0-0-1', '10-0-0-2', 'fd00--1'].map((pod) => `${pod}.${of}.pod`),
  ]),
  ...REVERSE.map((text) => `${text}.in-addr.arpa.`),
];

/** Every answer, with the records of each in one order: that of slices is the order of their arrival. */
function everything(records: Records): string[] {
  return QUESTIONS.flatMap((question) =>
    (['A', 'AAAA', 'SRV', 'PTR'] as const).map((type) => {
      const line = lineOf(askRecords(records, question, type, { pods: 'verified' }));
      return `${question} ${type} = ${line
        .split(/(?:, | \+ )/)
        .sort()
        .join(', ')}`;
    }),
  );
}

describe('records after any events', () => {
  it('are those of the objects that are left', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
        const records = new Records();
        const left = new Map<string, ApiObject>();
        for (const { kind, path, object, isDelete } of changes) {
          const key = `${kind} ${path}`;
          if (!isDelete && isRefused(left, key, object)) continue;
          if (isDelete) DELETES[kind](records, path);
          else put(records, object);
          if (isDelete) left.delete(key);
          else left.set(key, object);
        }
        const fromScratch = recordsOf([...left.values()]);
        assert.deepEqual(everything(records), everything(fromScratch));
        assert.deepEqual(records.counts, fromScratch.counts);
      }),
      { numRuns: 400, interruptAfterTimeLimit: 20_000 },
    );
  });

  it('hold nothing once everything is deleted', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 30 }), (changes) => {
        const records = new Records();
        for (const { object } of changes) put(records, object);
        for (const { kind, path } of changes) DELETES[kind](records, path);
        assert.ok(Object.values(records.counts).every((count) => count === 0));
        assert.deepEqual(everything(records), everything(new Records()));
      }),
      { numRuns: 200, interruptAfterTimeLimit: 10_000 },
    );
  });
});
