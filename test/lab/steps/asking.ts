/** Pods and the node ask; hits stay on the node, misses go to the right upstream. */

import { glibcLookup, muslLookup } from '../../support/cluster/clients/clients.ts';
import { dig } from '../../support/cluster/clients/dig.ts';
import type { Asked } from '../../support/cluster/nameserver.ts';
import { clientEntries } from '../../support/cluster/observe.ts';
import { V4, V6 } from '../../support/cluster/plan.ts';
import { type Ask, ask, counters, type LabFixture } from '../fixture.ts';

const KUBE_DNS = ['kube-dns tcp'];
const PODS = [...V4.pods, ...V6.pods];
const WEB = 'web.default.svc.cluster.local';

export async function clusterNames(fixture: LabFixture): Promise<void> {
  const { cluster, report } = fixture;
  const [pod1, pod2] = cluster.pods;
  const first = { asker: 'pod1', from: pod1, server: V4.local };
  report.step('Cluster names: a miss goes to kube-dns over TCP, a hit stays on the node');
  const web = { name: WEB, data: ['10.96.7.7'] };
  await ask(fixture, { ...first, ...web, upstream: KUBE_DNS });
  await ask(fixture, { ...web, asker: 'pod2', from: pod2, server: V4.vip, upstream: [] });
  await ask(fixture, {
    ...web,
    asker: 'pod2',
    from: pod2,
    server: V4.vip,
    program: 'kdig',
    tcp: true,
    upstream: [],
  });
  await ask(fixture, { ...web, asker: 'node', from: cluster.node, server: V4.vip, upstream: [] });
  const more: Pick<Ask, 'name' | 'type' | 'data' | 'status'>[] = [
    { name: WEB, type: 'AAAA', data: ['fd00:96::77'] },
    { name: 'db.default.svc.cluster.local', data: ['10.244.1.31', '10.244.1.32', '10.244.1.33'] },
    { name: '_http._tcp.web.default.svc.cluster.local', type: 'SRV', data: [`0 100 80 ${WEB}.`] },
    { name: '7.7.96.10.in-addr.arpa', type: 'PTR', data: [`${WEB}.`] },
    { name: 'missing.default.svc.cluster.local', data: [], status: 'NXDOMAIN' },
  ];
  for (const question of more) {
    await ask(fixture, { ...first, ...question, upstream: KUBE_DNS });
    await ask(fixture, { ...first, ...question, server: V4.vip, upstream: [] });
  }
}

export async function externalNames(fixture: LabFixture): Promise<void> {
  const { cluster, report } = fixture;
  const pod = { asker: 'pod1', from: cluster.pods[0], server: V4.vip };
  report.step('Other names: to the internet over UDP, over TCP only where the answer does not fit');
  const www = {
    name: 'www.example.com',
    data: ['192.0.2.91', 'edge.example.com.', 'host.example.org.'],
  };
  await ask(fixture, { ...pod, ...www, upstream: ['internet udp'] });
  await ask(fixture, { ...pod, ...www, upstream: [] });
  const nowhere = { name: 'nowhere.example.org', data: [], status: 'NXDOMAIN' };
  const denied = await ask(fixture, { ...pod, ...nowhere, upstream: ['internet udp'] });
  report.same(
    'authority of the denial',
    denied.authority.map(({ type }) => type),
    ['SOA'],
  );
  const big = { name: 'big.example.com', type: 'TXT' };
  const cut = await dig(cluster.pods[0], { ...big, server: V4.vip, options: ['+ignore'] });
  report.note(`pod1 › dig +ignore @${V4.vip} big.example.com TXT`);
  report.holds('truncated for UDP', cut.flags.includes('tc'), cut.flags, 'tc among the flags');
  const way = cluster.wayOf(big.name).sort();
  report.same('upstream queries for it', way, ['internet tcp', 'internet udp']);
  const whole = await dig(cluster.pods[0], { ...big, server: V4.vip });
  report.note(`pod1 › dig @${V4.vip} big.example.com TXT, which then asks over TCP`);
  report.same('characters of text', whole.answers[0]?.data.replace(/[^x]/g, '').length, 2_400);
  report.same('further upstream queries', cluster.wayOf(big.name).length - way.length, 0);
}

export async function ipv6(fixture: LabFixture): Promise<void> {
  const { cluster, report } = fixture;
  const [pod1, pod2] = cluster.pods;
  report.step('The same cache on IPv6 addresses');
  const api = { name: 'api.default.svc.cluster.local', data: ['10.96.7.8'] };
  await ask(fixture, { ...api, asker: 'pod1', from: pod1, server: V6.local, upstream: KUBE_DNS });
  await ask(fixture, { ...api, asker: 'pod2', from: pod2, server: V6.vip, upstream: [] });
  const tcp = { program: 'kdig', tcp: true } as const;
  await ask(fixture, { ...api, ...tcp, asker: 'pod2', from: pod2, server: V6.vip, upstream: [] });
}

export async function libraries(fixture: LabFixture): Promise<void> {
  const { cluster, report } = fixture;
  const pod = cluster.pods[1];
  report.step('Programs ask through their C library, with a search list and ndots:5');
  for (const server of [V4.vip, V4.local]) {
    cluster.usePodNameserver(server);
    const lookups: [string, Promise<string[]>][] = [
      ['glibc getent ahosts web', glibcLookup(pod, 'web')],
      ['musl getaddrinfo web', muslLookup(pod, fixture.musl, 'web')],
    ];
    for (const [what, lookup] of lookups) {
      report.same(`${what} (${server})`, await lookup, ['10.96.7.7', 'fd00:96::77']);
    }
    const outside = await glibcLookup(pod, 'host.example.org');
    report.same(`glibc getent ahosts host.example.org`, outside, ['192.0.2.91', 'fd00:80::91']);
  }
}

export async function traces(fixture: LabFixture): Promise<void> {
  const { cluster, report } = fixture;
  report.step('State that these queries left on the node');
  await counters(fixture);
  const entries = await Promise.all(PODS.map((pod) => clientEntries(cluster.node, pod)));
  report.same('conntrack entries of pods asking DNS', entries.flat(), []);
  const plain = cluster.kubeDns.flatMap((dns) => dns.asked()).filter(isUdpOf(V4.node));
  report.same('queries of the node at kube-dns over UDP', plain, []);
}

function isUdpOf(client: string): (asked: Asked) => boolean {
  return (asked) => asked.transport === 'udp' && asked.client === client;
}
