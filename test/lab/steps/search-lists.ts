/** What search lists cost with nothing done about them, with `nxdomain_probe`, and with `autopath @node` as well. */
import { writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Compared, Looked, SearchingJob } from '../../support/clients/searching.ts';
import { lookUpAll } from '../../support/cluster/clients/clients.ts';
import type { Netns } from '../../support/cluster/netns.ts';
import { V4 } from '../../support/cluster/plan.ts';
import { Helper } from '../../support/cluster/process/helper.ts';
import type { LabFixture } from '../fixture.ts';
import { type Asked, MODES, type Mode, SearchAgents } from '../search/agents.ts';
import {
  BANK_POD,
  DEFAULT_POD,
  GANG_ADDRESSES,
  GANG_NAMES,
  KINDS,
  type LabPod,
  leaving,
  NAMES,
  podAt,
  resolvConf,
  TUNED_POD,
} from '../search/names.ts';

const SEARCHING = new URL('../../support/clients/searching.ts', import.meta.url);
const OUTSIDE = 'host.example.org';
const HAND_OVER_MS = 200;
/** From the beginning of a pod's deletion to its end; with the kubelet it is longer. */
const GRACE_MS = 1_000;
const THOUSAND = 1_000;
const LOOKUP_EVERY_MS = 5;

interface Stage extends LabFixture {
  readonly agents: SearchAgents;
  readonly many: Helper;
  /** By address. */
  readonly pods: Map<string, LabPod>;
}

/** Two pods that are namespaces of their own, and a hundred addresses in the first one's. */
export async function searchLists(fixture: LabFixture): Promise<void> {
  const { cluster, report } = fixture;
  report.step('Search lists: three agents side by side, and an API server for autopath');
  const [pod1] = cluster.pods;
  await pod1.ipBatch(GANG_ADDRESSES.map((address) => `addr add ${address}/24 dev eth0`));
  const pods = [
    podAt(V4.pods[0], DEFAULT_POD),
    podAt(V4.pods[1], TUNED_POD),
    ...GANG_ADDRESSES.map((address) => podAt(address, DEFAULT_POD)),
  ];
  const agents = new SearchAgents(cluster);
  const many = new Helper(pod1, SEARCHING);
  try {
    await agents.start(pods.map(({ object }) => object));
    const byAddress = new Map(pods.map((pod) => [pod.address, pod]));
    const stage: Stage = { ...fixture, agents, many, pods: byAddress };
    await oneName(stage);
    await sameAnswers(stage);
    await anotherNamespace(stage);
    await gang(stage);
    await thousandNames(stage);
    await changingHands(stage);
  } finally {
    many.end();
    await agents.stop();
  }
}

/** Looks `names` up with both C libraries' clients, as the pod at `address` at the agent of this mode. */
async function lookUp(
  { cluster, agents, pods }: Stage,
  [from, address]: readonly [Netns, string],
  program: string,
  mode: Mode,
  names: readonly string[],
): Promise<string[]> {
  const file = `${cluster.runDir}/resolv-${address}-${mode}.conf`;
  writeFileSync(file, resolvConf(pods.get(address) as LabPod, agents.addressOf(mode)));
  return lookUpAll(from, program, file, names);
}

async function oneName(stage: Stage): Promise<void> {
  const { report, cluster, agents, glibc, musl } = stage;
  report.step(`Client queries for ${OUTSIDE}, ndots:5`);
  const pod = [cluster.pods[0], V4.pods[0]] as const;
  for (const [libc, program] of [
    ['glibc', glibc],
    ['musl', musl],
  ] as const) {
    const counts: number[] = [];
    for (const mode of MODES) {
      const [, asked] = await agents.counting(mode, () =>
        lookUp(stage, pod, program, mode, [OUTSIDE]),
      );
      counts.push(asked.client);
    }
    report.same(`${libc}: ${MODES.join(', ')}`, counts, [8, 8, 2]);
  }
}

async function sameAnswers(stage: Stage): Promise<void> {
  const { report, cluster, agents, glibc, musl } = stage;
  report.step(`${NAMES.length} names, the same answers with autopath and without`);
  const [pod1, pod2] = cluster.pods;
  const rows = [
    ['glibc, ndots 5', glibc, [pod1, V4.pods[0]]],
    ['musl, ndots 5', musl, [pod1, V4.pods[0]]],
    ['glibc, ndots 2 and a domain', glibc, [pod2, V4.pods[1]]],
    ['musl, ndots 2 and a domain', musl, [pod2, V4.pods[1]]],
  ] as const;
  for (const [what, program, pod] of rows) {
    const run = (mode: Mode): Promise<[string[], Asked]> =>
      agents.counting(mode, () => lookUp(stage, pod, program, mode, NAMES));
    const [[plain, asked], [other, askedThen]] = await Promise.all([run('plain'), run('autopath')]);
    report.same(`${what}: different answers`, differences(plain, other), []);
    report.holds(
      '  client queries without and with',
      askedThen.client < asked.client && plain.length === NAMES.length,
      [asked.client, askedThen.client],
      `fewer, and an answer for each of ${NAMES.length} names`,
    );
    report.note(`kube-dns ${asked.kubeDns} and ${askedThen.kubeDns}`);
  }
}

function differences(plain: readonly string[], other: readonly string[]): string[] {
  return plain.flatMap((line, i) => (line === other[i] ? [] : [`${line} / ${other[i]}`]));
}

/** In the middle of a run a pod of another namespace gets the address. */
async function anotherNamespace(stage: Stage): Promise<void> {
  const { report, cluster, agents, glibc, musl, pods } = stage;
  const [address] = V4.pods;
  report.step(`${address} is given to a pod of another namespace in mid-run`);
  const before = await agents.results('changed_address');
  const half = NAMES.slice(0, 60);
  const both = async (): Promise<string[]> => {
    const found: string[] = [];
    for (const program of [glibc, musl]) {
      const run = (mode: Mode): Promise<string[]> =>
        lookUp(stage, [cluster.pods[0], address], program, mode, half);
      found.push(...differences(await run('plain'), await run('autopath')));
    }
    return found;
  };
  report.same('different answers before', await both(), []);
  const old = pods.get(address) as LabPod;
  const now = podAt(address, BANK_POD);
  pods.set(address, now);
  await agents.change({ delete: [old.object], put: [now.object] });
  report.same('different answers after', await both(), []);
  const doubted = (await agents.results('changed_address')) - before;
  report.holds('queries of a client in doubt', doubted > 0, doubted, 'some');
}

async function gang(stage: Stage): Promise<void> {
  const { report, agents, many, pods } = stage;
  report.step('A gang: 100 pods start at once and look up three outside names each');
  many.notify({ do: 'pods', pods: GANG_ADDRESSES.map((at) => pods.get(at)) });
  const count: Partial<Record<Mode, Asked>> = {};
  for (const mode of MODES) {
    const server = agents.addressOf(mode);
    // The names above those of the cluster are known after the first outside name of each top-level domain.
    const warm = ['warm.any.example.com', 'warm.example.org'];
    await many.ask({ do: 'each', server, names: warm, atOnce: 1 } satisfies SearchingJob);
    const job: SearchingJob = { do: 'gang', server, names: GANG_NAMES };
    const [looked, asked] = await agents.counting(mode, () => many.ask<Looked>(job));
    count[mode] = { ...asked, client: looked.queries };
    report.same(`${mode}: lookups that found an address`, looked.found, looked.lookups);
    report.note(
      `${looked.queries} client queries, ${asked.kubeDns} to kube-dns, ${asked.internet} to the internet`,
    );
  }
  const { plain, probe, autopath } = count;
  report.same('client queries without autopath', plain?.client, 2_400);
  const few = (asked: Asked | undefined): boolean =>
    asked !== undefined && asked.kubeDns <= 6 && asked.internet <= 6;
  report.holds('kube-dns, internet: with probe', few(probe), figures(probe), 'at most 6 each');
  report.holds('the same with autopath', few(autopath), figures(autopath), 'at most 6 each');
  const queries = autopath?.client ?? Number.NaN;
  report.holds('client queries with autopath', queries <= 600, queries, 'at most 600');
}

function figures(asked: Asked | undefined): (number | undefined)[] {
  return [asked?.kubeDns, asked?.internet];
}

async function thousandNames({ report, agents, many }: Stage): Promise<void> {
  report.step('1,000 different outside names, as fast as they are answered');
  for (const mode of MODES) {
    const names = Array.from({ length: THOUSAND }, (_, i) => `${mode}${i}.any.example.com`);
    const server = agents.addressOf(mode);
    const job: SearchingJob = { do: 'each', server, names, atOnce: 20 };
    const [looked, asked] = await agents.counting(mode, () => many.ask<Looked>(job));
    report.same(`${mode}: found`, looked.found, THOUSAND);
    const perName = asked.kubeDns / THOUSAND;
    const [held, expected] = mode === 'plain' ? [perName > 5, '6'] : [perName <= 0.05, '0.05'];
    report.holds('  queries to kube-dns for each', held, perName, `about ${expected} at most`);
  }
}

/** Every 200 ms a pod is deleted and another one, often with another list, gets its address. */
async function changingHands(stage: Stage): Promise<void> {
  const { report, agents, many, pods, lookups } = stage;
  report.step(`${lookups} lookups while an address changes hands every ${HAND_OVER_MS} ms`);
  const before = await agents.results('found');
  const job: SearchingJob = {
    do: 'compare',
    servers: [agents.addressOf('plain'), agents.addressOf('autopath')],
    names: NAMES,
    count: lookups,
    everyMs: LOOKUP_EVERY_MS,
  };
  let isOver = false;
  const compared = many.ask<Compared>(job).finally(() => {
    isOver = true;
  });
  const changes: Promise<void>[] = [];
  for (let n = 0; !isOver; n++) {
    const address = GANG_ADDRESSES[(n * 37) % GANG_ADDRESSES.length] as string;
    changes.push(handOver(stage, address, n));
    await Promise.race([delay(HAND_OVER_MS), compared]);
  }
  await Promise.all(changes);
  const { different, found } = await compared;
  report.same('wrong answers', different, []);
  report.holds('lookups that found an address', found > lookups / 4, found, 'more than a quarter');
  const answered = (await agents.results('found')) - before;
  report.holds('queries answered by autopath', answered > 0, answered, 'some');
  report.note(`${changes.length} pods were replaced, ${pods.size} addresses`);
}

async function handOver({ agents, many, pods }: Stage, address: string, n: number): Promise<void> {
  const old = pods.get(address) as LabPod;
  const now = podAt(address, KINDS[n % KINDS.length] as (typeof KINDS)[number]);
  await agents.change({ put: [leaving(old)] });
  await delay(GRACE_MS);
  pods.set(address, now);
  // The new pod asks before the API server, and so the agent, knows of it.
  many.notify({ do: 'pods', pods: [now] });
  await delay((n % 5) * 100);
  await agents.change({ delete: [old.object], put: [now.object] });
}
