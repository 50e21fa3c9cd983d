/** What the steps of the lab share. */

import { type DigResult, dataOf, dig, type Question } from '../support/cluster/clients/dig.ts';
import type { Netns } from '../support/cluster/netns.ts';
import { clientEntries, metrics, ruleCounters, total } from '../support/cluster/observe.ts';
import { V4, V6 } from '../support/cluster/plan.ts';
import { METRICS_URL } from '../support/cluster/process/nodens.ts';
import type { Site } from '../support/cluster/site.ts';
import type { Report } from './report.ts';

export interface LabFixture extends Site {
  readonly report: Report;
  /** Paths of the clients of the two C libraries. */
  readonly musl: string;
  readonly glibc: string;
  /** How many lookups are compared while addresses change hands. */
  readonly lookups: number;
}

export interface Ask extends Question {
  readonly from: Netns;
  /** Name of the client in the output. */
  readonly asker: string;
  /** Data of the answer section, sorted. */
  readonly data: readonly string[];
  /** Upstream queries it must cause, `kube-dns tcp` and the like in order; none: a hit. */
  readonly upstream: readonly string[];
  readonly status?: string;
}

/** Asks, prints the question, and checks the status, the data and the path of the upstream queries. */
export async function ask({ cluster, report }: LabFixture, wanted: Ask): Promise<DigResult> {
  const before = cluster.wayOf(wanted.name);
  const result = await dig(wanted.from, wanted);
  const way = added(before, cluster.wayOf(wanted.name));
  const question = `${wanted.name} ${wanted.type ?? 'A'}`;
  const tool = `${wanted.program ?? 'dig'}${wanted.tcp === true ? ' +tcp' : ''}`;
  report.note(`${wanted.asker} › ${tool} @${wanted.server} ${question}`);
  const ttl = result.answers[0]?.ttl;
  const found = [result.status, ...dataOf(result)];
  const expected = [wanted.status ?? 'NOERROR', ...wanted.data];
  report.same(
    `answer${ttl === undefined ? '' : `, TTL ${ttl}`}`,
    found.map(shorten),
    expected.map(shorten),
  );
  report.holds(
    'upstream queries for it',
    way.map(kindOf).join() === wanted.upstream.join(),
    way,
    wanted.upstream,
  );
  return result;
}

/** What `after` has more than `before`: the name servers' logs are not in one order. */
function added(before: readonly string[], after: readonly string[]): string[] {
  const more = [...after];
  for (const step of before) more.splice(more.indexOf(step), 1);
  return more;
}

function kindOf(step: string): string {
  return step.replace(/^dns\d/, 'kube-dns');
}

function shorten(text: string): string {
  return text.length > 60 ? `${text.slice(0, 24)}… (${text.length} characters)` : text;
}

/** Prints what was counted so far: at the cache, at the upstreams, by the rules, in conntrack. */
export async function counters({ cluster, report }: LabFixture): Promise<void> {
  const samples = await metrics(cluster.node, METRICS_URL);
  const sum = (name: string): number => total(samples, `coredns_cache_${name}_total`);
  const upstream = cluster.counts();
  const rules = [...(await ruleCounters(cluster.node))].filter(([, packets]) => packets > 0);
  const entries = await Promise.all(
    [...V4.pods, ...V6.pods].map((pod) => clientEntries(cluster.node, pod)),
  );
  report.note(
    [
      'counted so far',
      `  cache      ${sum('hits')} hits, ${sum('misses')} misses, ${sum('served_stale')} stale`,
      `  kube-dns   ${upstream.kubeDns.tcp} over TCP, ${upstream.kubeDns.udp} over UDP`,
      `  internet   ${upstream.internet.udp} over UDP, ${upstream.internet.tcp} over TCP`,
      `  rules      ${rules.map(([name, packets]) => `${name} ${packets}`).join(', ')}`,
      `  conntrack  ${entries.flat().length} entries of pods`,
    ].join('\n'),
  );
}
