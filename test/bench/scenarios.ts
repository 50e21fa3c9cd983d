/** The queries: files for dnsperf. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Setup } from './subjects.ts';

export interface Scenario {
  readonly name: string;
  readonly title: string;
  readonly setup: Setup;
  readonly transport: 'udp' | 'tcp';
  /** Whether every answer is in the cache: the file is queried once before the measurement. */
  readonly isCached: boolean;
  /** Further arguments of dnsperf; each list is a part of the measured time. */
  readonly legs: readonly (readonly string[])[];
  /** Whether latency at a fixed rate is measured as well. */
  readonly measuresLatency: boolean;
  /** Lines `NAME TYPE`. Misses need new names in every `round`. */
  questions(round: number): string[];
}

/** Deterministic numbers in [0, 1): every run has the same queries (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const HOT_NAMES = 2_000;
const ZIPF_NAMES = 10_000;
const ZIPF_QUESTIONS = 200_000;
/** More queries than any subject answers in one measurement. */
const MISSES = 400_000;

const typeOf = (index: number): string => (index % 2 === 0 ? 'A' : 'AAAA');

function hotNames(): string[] {
  return Array.from(
    { length: HOT_NAMES },
    (_, i) => `service-${i >> 1}.namespace-${i % 37}.svc.cluster.local. ${typeOf(i)}`,
  );
}

/** Popularity by rank⁻¹ over 10,000 names. Every name occurs once, so that the whole file warms the cache. */
function zipfNames(): string[] {
  const random = randomFrom(1);
  const all = Array.from({ length: ZIPF_NAMES }, (_, i) => `host-${i}.example.org. ${typeOf(i)}`);
  const cumulated: number[] = [];
  let total = 0;
  for (let rank = 1; rank <= ZIPF_NAMES; rank++) {
    total += 1 / rank;
    cumulated.push(total);
  }
  const draw = (): string => {
    const point = random() * total;
    let low = 0;
    let high = ZIPF_NAMES - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((cumulated[middle] as number) < point) low = middle + 1;
      else high = middle;
    }
    return all[low] as string;
  };
  return [...all, ...Array.from({ length: ZIPF_QUESTIONS }, draw)];
}

/** The queries of a pod's resolver before the intended name (ndots:5): the name under each search domain. */
function expandedNames(): string[] {
  const domains = ['shop.svc.cluster.local', 'svc.cluster.local', 'cluster.local'];
  return Array.from({ length: 500 }, (_, i) =>
    domains.flatMap((domain) =>
      ['A', 'AAAA'].map((type) => `nx-api-${i}.example.com.${domain}. ${type}`),
    ),
  ).flat();
}

function newNames(label: string, round: number): string[] {
  return Array.from(
    { length: MISSES },
    (_, i) => `${label}${round}-${i}.cdn.example.net. ${typeOf(i)}`,
  );
}

const cached = {
  setup: 'plain',
  transport: 'udp',
  isCached: true,
  legs: [[]],
  measuresLatency: true,
} as const;
const missed = {
  transport: 'udp',
  isCached: false,
  legs: [[]],
  measuresLatency: false,
} as const;

/** Misses come last: they evict the entries of the others. */
export const SCENARIOS: readonly Scenario[] = [
  {
    ...cached,
    name: 'hot',
    title: 'hot hits: 2,000 names, A and AAAA, half with EDNS',
    legs: [[], ['-e']],
    questions: hotNames,
  },
  {
    ...cached,
    name: 'zipf',
    title: 'hits among 10,000 names, Zipf popularity',
    questions: zipfNames,
  },
  {
    ...cached,
    name: 'nxdomain',
    title: 'NXDOMAIN hits: search-domain expansions',
    questions: expandedNames,
  },
  {
    ...cached,
    name: 'log',
    title: 'hot hits with one log line each',
    setup: 'log',
    measuresLatency: false,
    questions: hotNames,
  },
  {
    ...cached,
    name: 'tcp',
    title: 'hot hits for TCP clients, pipelined',
    transport: 'tcp',
    measuresLatency: false,
    questions: hotNames,
  },
  {
    ...missed,
    name: 'miss-tcp',
    title: 'misses, upstream over TCP',
    setup: 'tcp-upstream',
    questions: (round) => newNames('t', round),
  },
  {
    ...missed,
    name: 'miss-udp',
    title: 'misses, upstream over UDP',
    setup: 'plain',
    questions: (round) => newNames('u', round),
  },
];

/** Writes the questions of one round; returns the file's path. */
export function questionFile(dir: string, scenario: Scenario, round: number): string {
  const path = join(dir, `${scenario.name}.txt`);
  writeFileSync(path, `${scenario.questions(round).join('\n')}\n`);
  return path;
}
