/**
 * Prints, as JSON, the resident memory of 50,000 entries and the memory that the cache accounts for. Run with
 * --expose-gc and a small young generation, so that garbage does not blur the result.
 */
import { addressRecord, Bench } from '../harness.ts';

const ENTRIES = 50_000;
const CHURN = 50_000;

interface Collector {
  readonly gc: (options: { type: 'major'; execution: 'sync'; flavor: 'last-resort' }) => void;
}

function collect(): void {
  const { gc } = globalThis as unknown as Collector;
  for (let i = 0; i < 2; i++) gc({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}

const success = { capacity: ENTRIES, maxTtlSeconds: 3_600, minTtlSeconds: 5 };
const bench = new Bench({}, { totalBytes: 1e9 });
const answer = [addressRecord(60, 1), addressRecord(60, 2)];
bench.upstream = (query) => bench.reply(query, { answer });

function fill(count: number): void {
  for (let i = 0; i < count; i++) {
    bench.hit({ name: `host-${i}.some.zone.example.org.` });
    bench.asked.length = 0;
  }
}

// The heap grows to its working size before the measurement.
bench.open({ success: { ...success, capacity: 0 } }, { id: 2 });
fill(CHURN);
bench.open({ success });
collect();
const before = process.memoryUsage.rss();
fill(ENTRIES);
collect();
const residentBytes = process.memoryUsage.rss() - before;
const { answers, answerBytes } = bench.cache.stats();
process.stdout.write(JSON.stringify({ residentBytes, answers, answerBytes }));
