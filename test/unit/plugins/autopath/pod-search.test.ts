import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { podDefaults } from '../../../../agent/base/resolv-conf.ts';
import { nameFromText, nameToText } from '../../../../agent/dns/name.ts';
import {
  type NodeDns,
  type PodDns,
  podSearchList,
} from '../../../../agent/plugins/autopath/pod-search.ts';
import {
  baseBytes,
  dotsIn,
  expanded,
  searchList,
} from '../../../../agent/plugins/autopath/search-list.ts';

const NODE: NodeDns = {
  clusterDomain: 'cluster.local',
  search: ['corp.example', 'example'],
  ndots: 2,
};
const OWN = ['shop.svc.cluster.local.', 'svc.cluster.local.', 'cluster.local.'];

/** The elements as text, with ndots at the end; undefined: no list. */
function listOf(pod: Partial<PodDns>, node: NodeDns = NODE): (string | number)[] | undefined {
  const list = podSearchList(
    { namespace: 'shop', dnsPolicy: 'ClusterFirst', dnsConfig: undefined, ...pod },
    node,
  );
  return list === undefined ? undefined : [...list.elements.map(nameToText), list.ndots];
}

describe('the search list of a pod', () => {
  for (const dnsPolicy of ['ClusterFirst', 'ClusterFirstWithHostNet'])
    it(`with ${dnsPolicy} is the cluster's and the node's`, () => {
      assert.deepEqual(listOf({ dnsPolicy }), [...OWN, 'corp.example.', 'example.', '.', 5]);
    });

  it("with Default is the node's, with its ndots", () => {
    assert.deepEqual(listOf({ dnsPolicy: 'Default' }), ['corp.example.', 'example.', '.', 2]);
    const bare = { ...NODE, search: [], ndots: undefined };
    assert.equal(listOf({ dnsPolicy: 'Default' }, bare), undefined);
  });

  it('with None is that of dnsConfig alone, with ndots 1', () => {
    assert.equal(listOf({ dnsPolicy: 'None' }), undefined);
    const dnsConfig = { searches: ['a.example', 'b.example.'] };
    assert.deepEqual(listOf({ dnsPolicy: 'None', dnsConfig }), [
      'a.example.',
      'b.example.',
      '.',
      1,
    ]);
  });

  it('has the searches of dnsConfig at the end, each domain once, in lower case', () => {
    const dnsConfig = { searches: ['Extra.Example', 'svc.cluster.local', 'extra.example'] };
    assert.deepEqual(listOf({ dnsConfig }), [
      ...OWN,
      ...['corp.example.', 'example.', 'extra.example.', 'extra.example.', '.', 5],
    ]);
    assert.deepEqual(listOf({ dnsConfig: { searches: ['example', 'corp.example'] } }), [
      ...OWN,
      ...['corp.example.', 'example.', '.', 5],
    ]);
  });

  it('takes the last ndots of dnsConfig, at most 15', () => {
    const ndotsOf = (...options: readonly unknown[]) => listOf({ dnsConfig: { options } })?.at(-1);
    assert.equal(ndotsOf({ name: 'ndots', value: '2' }), 2);
    assert.equal(ndotsOf({ name: 'ndots', value: '2' }, { name: 'ndots', value: '3' }), 3);
    assert.equal(ndotsOf({ name: 'timeout', value: '2' }, { name: 'edns0' }), 5);
    assert.equal(ndotsOf({ name: 'ndots', value: '99' }), 15);
    assert.equal(ndotsOf({ name: 'ndots', value: 'x' }), 5);
    assert.equal(ndotsOf({ name: 'ndots' }, null, 7), 5);
  });

  it('keeps the root where the node has it, as systemd-resolved writes it', () => {
    const node = { ...NODE, ...podDefaults('search .\n'), ndots: 1 };
    assert.deepEqual(listOf({}, node), [...OWN, '.', 5]);
    assert.deepEqual(listOf({ dnsConfig: { searches: ['x.example'] } }, node), [
      ...OWN,
      ...['.', 'x.example.', 5],
    ]);
    assert.equal(listOf({ dnsPolicy: 'Default' }, node), undefined);
  });

  it('is cut as the kubelet cuts it', () => {
    const searches = Array.from({ length: 40 }, (_, n) => `d${n}.example`);
    assert.equal(listOf({ dnsConfig: { searches } })?.length, 32 + 2);
    const long = Array.from(
      { length: 20 },
      (_, n) => `${`${n}`.padStart(60, 'a')}.${'b'.repeat(60)}.example`,
    );
    const cut = listOf({ dnsConfig: { searches: long } }) ?? [];
    const text = cut
      .slice(0, -2)
      .map((domain) => String(domain).slice(0, -1))
      .join(' ');
    assert.ok(text.length <= 2_048 && text.length > 2_048 - 140, `${text.length}`);
  });

  it('survives whatever JSON says', () => {
    for (const dnsConfig of [null, 7, [], { searches: 7, options: 'x' }, { searches: [7, null] }])
      assert.deepEqual(listOf({ dnsConfig }), [...OWN, 'corp.example.', 'example.', '.', 5]);
    assert.equal(listOf({ dnsConfig: { searches: ['a..b'] } }), undefined);
  });
});

describe('what the kubelet takes of the node', () => {
  it('is the last search line and ndots, and no domain line', () => {
    assert.deepEqual(podDefaults('domain old.example\nnameserver 192.0.2.1\n'), {
      search: [],
      ndots: undefined,
    });
    assert.deepEqual(
      podDefaults('search a.example\nsearch b.example. . # c.example\noptions ndots:3 edns0\n'),
      { search: ['b.example', '.'], ndots: 3 },
    );
  });
});

describe('an expansion', () => {
  const list = searchList(['shop.svc.cluster.local', 'cluster.local'], 5);
  const base = (text: string) => {
    const name = nameFromText(text);
    const bytes = list === undefined ? undefined : baseBytes(name, list);
    return bytes === undefined ? undefined : [bytes, dotsIn(name, bytes)];
  };

  it('is a name below the first element, cut at a label', () => {
    assert.deepEqual(base('api.example.com.shop.svc.cluster.local'), [16, 2]);
    assert.deepEqual(base('web.shop.svc.cluster.local'), [4, 0]);
    assert.equal(base('shop.svc.cluster.local'), undefined);
    assert.equal(base('web.bshop.svc.cluster.local'), undefined);
    assert.equal(base('web.cluster.local'), undefined);
  });

  it('is not longer than a name may be', () => {
    const long = nameFromText(`${`${'a'.repeat(60)}.`.repeat(4)}`);
    assert.equal(expanded(long, long.length - 1, nameFromText('cluster.local')), undefined);
    assert.equal(expanded(long, long.length - 1, nameFromText('x'))?.length, long.length + 2);
  });
});
