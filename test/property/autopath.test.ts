/**
 * Pods come and go, and their addresses change hands every 200 ms, while clients look up names: with autopath each lookup
 * ends as it would without. The clients walk their search lists as glibc does. Events reach the agent up to half a second
 * late, and a pod that is deleted keeps its address for a second, as with the kubelet.
 */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { setup } from '../../agent/plugins/autopath/setup.ts';
import type { Answer } from '../../agent/query/answer.ts';
import type { Plugin } from '../../agent/query/plugin.ts';
import { clientAt } from '../../agent/query/query.ts';
import { parseDirective } from '../support/corefiles/parse.ts';
import { answerLines, queryFor } from '../support/dns/queries.ts';
import type { FakeWatch } from '../support/kubernetes/fake-api.ts';
import { type Entry, Names } from '../support/kubernetes/names.ts';
import { type PodFields, pod } from '../support/kubernetes/pods.ts';
import { type FakeServices, fakeServices } from '../support/services.ts';

const RUNS = 20;
const LOOKUPS_OF_RUN = 500;
const HAND_OVER_MS = 200;
const LATE_MS = 500;
const GRACE_MS = 1_000;
const ADDRESSES = 80;

const v = (n: number): Entry => ({ A: [`192.0.2.${n}`], AAAA: [`2001:db8::${n}`] });
const WORLD: Readonly<Record<string, Entry>> = {
  'web.shop.svc.cluster.local.': { A: ['10.0.0.1'] },
  'db.bank.svc.cluster.local.': { A: ['10.0.0.2'], AAAA: 'NXDOMAIN' },
  'api.example.com.': v(1),
  'four.example.com.': { A: ['192.0.2.2'], AAAA: 'NXDOMAIN' },
  'six.example.com.': { A: 'NXDOMAIN', AAAA: ['2001:db8::3'] },
  'intra.corp.example.': v(4),
  'intra.extra.example.': v(5),
  'intra.': v(6),
  'empty.corp.example.': {},
  'empty.': v(7),
  'broken.cluster.local.': { A: 'SERVFAIL', AAAA: 'SERVFAIL' },
  'broken.': v(8),
  'half.corp.example.': { A: ['192.0.2.9'], AAAA: 'SERVFAIL' },
  'db.corp.example.': v(10),
  'web.extra.example.': v(11),
};
const BASES = [
  ...['web', 'db', 'db.bank', 'api.example.com', 'four.example.com', 'six.example.com'],
  ...['intra', 'empty', 'broken', 'half', 'missing', 'missing.example.com', 'web.shop.svc'],
];
/** Names of whole Services, which only clients with ndots 5 expand first: see the plugin's README. */
const WHOLE = [
  'db.bank.svc.cluster.local',
  'intra.shop.svc.cluster.local',
  'web.bank.svc.cluster.local',
];

/** A pod, and its resolv.conf as the kubelet writes it, put down here by hand. */
interface Kind {
  readonly fields: PodFields;
  readonly search: readonly string[];
  readonly ndots: number;
}

const NODE = ['corp.example'];
const KINDS: readonly Kind[] = ['shop', 'bank'].flatMap((namespace) => {
  const own = [`${namespace}.svc.cluster.local`, 'svc.cluster.local', 'cluster.local', ...NODE];
  const extra = ['extra.example'];
  return [
    { fields: { namespace }, search: own, ndots: 5 },
    { fields: { namespace, dnsConfig: { searches: extra } }, search: [...own, ...extra], ndots: 5 },
    {
      fields: { namespace, dnsConfig: { options: [{ name: 'ndots', value: '2' }] } },
      search: own,
      ndots: 2,
    },
    { fields: { namespace, dnsPolicy: 'Default' }, search: NODE, ndots: 1 },
    {
      fields: {
        ...{ namespace, dnsPolicy: 'None' },
        dnsConfig: {
          searches: [`${namespace}.svc.cluster.local`, ...extra],
          options: [{ name: 'ndots', value: '3' }],
        },
      },
      search: [`${namespace}.svc.cluster.local`, ...extra],
      ndots: 3,
    },
  ];
});

interface Running {
  readonly kind: Kind;
  readonly fields: PodFields;
}

type Asked = (name: string, type: 'A' | 'AAAA') => Promise<Answer>;

/** What a lookup finds, and with which aliases. */
async function lookup(base: string, { search, ndots }: Kind, asked: Asked): Promise<string[]> {
  const dots = base.split('.').length - 1;
  const expanded = search.map((domain) => `${base}.${domain}`);
  for (const name of dots >= ndots ? [base, ...expanded] : [...expanded, base]) {
    const answers = await Promise.all([asked(name, 'A'), asked(name, 'AAAA')]);
    const addresses = answers.flatMap((answer) => answerLines(answer));
    const found = addresses.filter((line) => !line.startsWith('CNAME'));
    if (found.length > 0) return found.sort();
  }
  return [];
}

class Simulation {
  readonly services: FakeServices;
  readonly names = new Names(WORLD);
  readonly #plugin: Plugin;
  readonly #random: () => number;
  readonly #running = new Map<string, Running>();
  #made = 0;
  watch: FakeWatch | undefined;

  constructor(random: () => number) {
    this.#random = random;
    this.services = fakeServices({ resolveNow: this.names.resolveNow });
    this.services.texts.set('/etc/resolv.conf', `search ${NODE.join(' ')}\n`);
    const { directive, block } = parseDirective('autopath @node', 'cluster.local');
    this.#plugin = setup(directive, block, this.services);
  }

  async start(): Promise<void> {
    await this.#plugin.prepare?.('at once');
    this.#plugin.start?.();
    this.watch = this.services.kubernetes.watchOf('/api/v1/pods');
    this.watch.list([]);
    for (let n = 0; n < ADDRESSES; n++) this.#place(`10.244.0.${n}`);
    this.services.clock.every(HAND_OVER_MS, () => this.#handOver());
    this.services.clock.every(5_000, () => this.watch?.contact());
  }

  /** A lookup of some pod that runs now; throws if autopath changes how it ends. */
  async compare(): Promise<void> {
    const { kind, fields } = this.#some([...this.#running.values()]);
    const bases = kind.ndots === 5 ? [...BASES, ...WHOLE] : BASES;
    const base = this.#some(bases);
    const [address = ''] = fields.ips ?? [];
    const with_ = await lookup(base, kind, async (name, type) => {
      const query = queryFor(name, type, { client: clientAt(address, 1) });
      query.arrivedMs = this.services.clock.nowMs();
      return (await this.#plugin.handle?.(query, this.names.next)) as Answer;
    });
    const without = await lookup(base, kind, (name, type) =>
      Promise.resolve(this.names.next(queryFor(name, type))),
    );
    assert.deepEqual(with_, without, `${base} of ${JSON.stringify(fields)}`);
  }

  #some<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)] as T;
  }

  #place(address: string): void {
    const kind = this.#some(KINDS);
    const fields = { ...kind.fields, name: `p${this.#made++}`, ips: [address] };
    this.#running.set(address, { kind, fields });
    this.#notify(() => this.watch?.put(pod(fields)));
  }

  /** An address loses its pod, and another pod has it at once. */
  #handOver(): void {
    const [address, { fields }] = this.#some([...this.#running]);
    this.#notify(() => this.watch?.put(pod({ ...fields, isLeaving: true })));
    this.services.clock.after(GRACE_MS, () => {
      if (this.#running.get(address)?.fields !== fields) return;
      this.#notify(() => this.watch?.delete(pod(fields)));
      this.#place(address);
    });
  }

  /** Events stay in order, as on one watch, and are late. */
  #notify(event: () => void): void {
    const nowMs = this.services.clock.nowMs();
    this.#notifiedMs = Math.max(this.#notifiedMs, nowMs + this.#random() * LATE_MS);
    this.services.clock.after(this.#notifiedMs - nowMs, event);
  }
  #notifiedMs = 0;
}

/** Numbers in [0, 1) from a seed (mulberry32). */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

it(`${RUNS * LOOKUPS_OF_RUN} lookups end with autopath as without`, async () => {
  let found = 0;
  let avoided = 0;
  await fc.assert(
    fc.asyncProperty(fc.integer(), async (seed) => {
      const random = numbers(seed);
      const simulation = new Simulation(random);
      await simulation.start();
      for (let n = 0; n < LOOKUPS_OF_RUN; n++) {
        await simulation.compare();
        await simulation.services.clock.advance(random() * 100);
      }
      const { metrics } = simulation.services;
      const count = (result: string): number => metrics.value('nodens_autopath_total', { result });
      found += count('found');
      avoided += count('changed_address') + count('unknown_client');
    }),
    { numRuns: RUNS },
  );
  // Otherwise the comparison would say little.
  assert.ok(found > 1_000, `${found} answers by autopath`);
  assert.ok(avoided > 1_000, `${avoided} clients in doubt`);
});
