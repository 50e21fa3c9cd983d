/** What `nodens status` and the status page say of upstreams, and that many of them do not delay answers. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { PacedWork } from '../../../agent/base/paced-work.ts';
import type { Family, Sample, Source } from '../../../agent/observe/metrics/samples.ts';
import type { StatusLine } from '../../../agent/operator/protocol.ts';
import { Status } from '../../../agent/operator/status.ts';
import { MAX_AT_ONCE, SampleClock } from '../../support/metrics/sample-clock.ts';
import { ReadableMetrics } from '../../support/services.ts';

/** Counts the samples that are read. */
class Counted implements Source {
  readonly metrics = new ReadableMetrics();
  readonly #clock: SampleClock;

  constructor(clock: SampleClock) {
    this.#clock = clock;
  }

  get read(): number {
    return this.#clock.made;
  }

  *families(): Iterable<Family> {
    for (const family of this.metrics.families())
      yield { ...family, values: { [Symbol.iterator]: () => this.#counted(family) } };
  }

  *#counted({ values }: Family): Generator<Sample> {
    for (const sample of values) {
      this.#clock.count();
      yield sample;
    }
  }
}

function statusOf(addresses: readonly string[]) {
  const clock = new SampleClock();
  const source = new Counted(clock);
  const { metrics } = source;
  for (const [index, to] of addresses.entries())
    for (const transport of ['udp', 'tcp'] as const) {
      const labels = { to, transport };
      metrics.counter('nodens_upstream_queries_total', labels).value += index;
      metrics.gauge('nodens_upstream_connections', labels).value = 1;
      for (const phase of ['connect', 'wait'] as const)
        metrics.histogram('nodens_upstream_phase_seconds', { ...labels, phase }).observe(index);
    }
  const upstreams = { summary: () => addresses.map((to) => ({ group: 'g', to, state: 'up' })) };
  const status = new Status({
    ...{ clock, work: new PacedWork(clock), version: '1.2.3', series: [source], limitBytes: 1 },
    cache: { stats: () => ({ answers: 0, answerBytes: 0, denials: 0, denialBytes: 0 }) },
    upstreams,
    ledger: { usedBytes: 0, clientBudgetBytes: 1 },
    queryWatch: { observers: 0 },
    ...{ listeners: () => [], notReadyReasons: () => [] },
    ...{ configuration: () => undefined, interception: () => '', inFlight: () => 0 },
  } as unknown as ConstructorParameters<typeof Status>[0]);
  /** The line, with the rests that it takes. */
  const line = async (): Promise<StatusLine> => {
    let made: StatusLine | undefined;
    void status.line().then((whole) => {
      made = whole;
    });
    while (made === undefined) await clock.advance(2.5);
    return made;
  };
  return { line, source, clock };
}

it('sums what each upstream did over all transports', async () => {
  const { line } = statusOf(['192.0.2.1:53', '192.0.2.2:53', '192.0.2.3:53']);
  const { upstreams } = await line();
  assert.deepEqual(
    upstreams.map(({ to, queries, connections, replies, latencyMs }) => [
      ...[to, queries, connections, replies, latencyMs],
    ]),
    [
      ['192.0.2.1:53', 0, 2, 2, 0],
      ['192.0.2.2:53', 2, 2, 2, 1_000],
      ['192.0.2.3:53', 4, 2, 2, 2_000],
    ],
  );
});

it('reads four times as much for four times as many upstreams, and not sixteen times', async () => {
  const readFor = async (count: number): Promise<number> => {
    const { line, source } = statusOf(Array.from({ length: count }, (_, i) => `192.0.2.${i}:53`));
    await line();
    return source.read;
  };
  const [few, many] = [await readFor(10), await readFor(40)];
  assert.ok(many < 5 * few, `${few} samples read for 10, ${many} for 40`);
});

it('is read in slices, between which datagrams are answered', async () => {
  const addresses = Array.from({ length: 100 }, (_, i) => `192.0.2.${i}:53`);
  const { line, source, clock } = statusOf(addresses);
  assert.equal((await line()).upstreams.at(-1)?.queries, 198);
  assert.ok(source.read > 10 * MAX_AT_ONCE, `${source.read} samples`);
  assert.ok(clock.mostAtOnce <= MAX_AT_ONCE, `${clock.mostAtOnce} samples at once`);
});
