import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SnapshotError } from '../../../../agent/cache/snapshot/reader.ts';
import { encodeSnapshot } from '../../../../agent/cache/snapshot/writer.ts';
import { BlockEntries } from '../../../../agent/cache/store/block-entries.ts';
import { Entry } from '../../../../agent/cache/store/entry.ts';
import { EDE, RCODE } from '../../../../agent/dns/iana.ts';
import type { CacheOptions } from '../../../../agent/query/services/cache.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import {
  addressRecord,
  Bench,
  IMMEDIATE,
  lastByte,
  nxdomain,
  queryFor,
  replyTo,
  ttlIn,
  VERIFY,
} from '../harness.ts';

const SECOND = 1_000;
const IDENTITY = '. @ 127.0.0.1';

/** A bench with cached answers of 60 s for these names. */
async function warm(
  names: readonly string[],
  options: Partial<CacheOptions> = { serveStale: VERIFY },
): Promise<Bench> {
  const bench = new Bench(options);
  bench.upstream = (query) => bench.reply(query, { answer: [addressRecord(60, 7)] });
  for (const name of names) await bench.ask({ name });
  return bench;
}

function fileOf(bench: Bench): Buffer {
  const pieces = bench.cache.snapshot((id) => (id === 1 ? IDENTITY : undefined));
  return Buffer.concat(Array.from(pieces, (piece) => Buffer.from(piece)));
}

/** A process that starts `passedMs` later, whose block has another number. */
async function restarted(
  file: Buffer,
  passedMs: number,
  { options = { serveStale: VERIFY }, below = 'forward . 192.0.2.53' } = {},
): Promise<Bench & { restored: number }> {
  const bench = new Bench(options);
  bench.open(options, { id: 300, belowCache: below });
  // Its monotonic clock starts at zero; the wall clock has advanced.
  const { clock } = bench.services;
  const begun = clock.wallMs();
  clock.wallMs = () => begun + passedMs;
  const { entries } = bench.cache.restore(file, (text) => (text === IDENTITY ? 300 : undefined));
  return Object.assign(bench, { restored: entries });
}

const NAMES = ['a.example.org.', 'b.example.org.', 'c.example.org.'];

describe('snapshot', () => {
  it('restores answers, older by the time that has passed', async () => {
    const source = await warm(NAMES);
    const bench = await restarted(fileOf(source), 20 * SECOND);
    assert.equal(bench.restored, 3);
    for (const name of NAMES) {
      const answer = bench.hit({ name });
      assert.equal(lastByte(answer), 7);
      assert.equal(ttlIn(answer), 60);
      assert.equal(bench.services.clock.nowMs() - (answer.bornMs as number), 20 * SECOND);
    }
    assert.equal(bench.asked.length, 0);
  });

  it('restores expired answers as stale ones, within their window only', async () => {
    const file = fileOf(await warm(NAMES));
    const bench = await restarted(file, 600 * SECOND, { options: { serveStale: IMMEDIATE } });
    bench.upstream = () => Promise.withResolvers<never>().promise;
    assert.equal(bench.hit({ name: NAMES[0] as string }).extended?.code, EDE.STALE_ANSWER);
    assert.equal((await restarted(file, 3_661 * SECOND)).restored, 0);
  });

  it('asks upstream where the plugins below the cache have changed, and falls back on the stored answer', async () => {
    const bench = await restarted(fileOf(await warm(NAMES)), SECOND, {
      below: 'forward . 192.0.2.99',
    });
    bench.upstream = (query) => bench.reply(query, { rcode: RCODE.SERVFAIL });
    assert.equal(lastByte(await bench.ask({ name: NAMES[0] as string })), 7);
    assert.equal(bench.asked.length, 1);
  });

  it('a wall clock that was set back makes no entry younger', async () => {
    const source = await warm(NAMES);
    await source.services.clock.advance(50 * SECOND);
    const file = fileOf(source);
    const bench = await restarted(file, -86_400 * SECOND);
    assert.equal(bench.restored, 3);
    const answer = bench.hit({ name: NAMES[0] as string });
    assert.equal(bench.services.clock.nowMs() - (answer.bornMs as number), 50 * SECOND);
    await bench.services.clock.advance(10 * SECOND);
    bench.upstream = (query) => bench.reply(query, { answer: [addressRecord(60, 8)] });
    assert.equal(lastByte(await bench.ask({ name: NAMES[0] as string })), 8);
  });

  it('keeps no denials and no failures', async () => {
    const source = await warm([]);
    source.upstream = (query) => source.reply(query, nxdomain());
    await source.ask();
    source.upstream = (query) => source.reply(query, { rcode: RCODE.SERVFAIL });
    await source.ask({ name: NAMES[0] as string });
    assert.equal((await restarted(fileOf(source), 0)).restored, 0);
  });

  it('omits blocks that no longer exist', async () => {
    const file = fileOf(await warm(NAMES));
    const bench = new Bench();
    assert.equal(bench.cache.restore(file, () => undefined).entries, 0);
  });

  it('answers received since the start stay', async () => {
    const file = fileOf(await warm(NAMES));
    const bench = await warm([NAMES[0] as string]);
    bench.upstream = (query) => bench.reply(query, { answer: [addressRecord(60, 9)] });
    await bench.ask({ name: NAMES[1] as string });
    bench.cache.restore(file, () => 1);
    assert.equal(lastByte(bench.hit({ name: NAMES[1] as string })), 9);
    assert.equal(bench.hit({ name: NAMES[2] as string }).rcode, RCODE.NOERROR);
  });

  it('is made in pieces of 2 ms each, while entries come and go', async () => {
    const names = Array.from({ length: 500 }, (_, i) => `n${i}.example.org.`);
    const source = await warm(names);
    let now = source.services.clock.nowMs();
    // Every look at the clock costs 10 µs.
    source.services.clock.nowMs = () => {
      now += 0.01;
      return now;
    };
    const pieces: Buffer[] = [];
    let beganMs = now;
    for (const piece of source.cache.snapshot(() => IDENTITY)) {
      assert.ok(now - beganMs < 2.5, `${now - beganMs} ms`);
      pieces.push(Buffer.from(piece));
      await source.ask({ name: `new${pieces.length}.example.org.` });
      beganMs = now;
    }
    assert.ok(pieces.length > 2, `${pieces.length} pieces`);
    assert.equal((await restarted(Buffer.concat(pieces), 0)).restored, 500);
  });

  it('takes no more entries than fit', () => {
    const clock = new FakeClock();
    const query = queryFor({}, clock.nowMs());
    const entry = new Entry({
      key: query.keyIn(1),
      kind: 'positive',
      answer: replyTo(query, { answer: [addressRecord(60)] }, clock.nowMs()),
      blockEntries: new BlockEntries({ value: 0 }),
      configVersion: 0,
      expiresMs: clock.nowMs() + 60_000,
      dropAfterMs: clock.nowMs() + 60_000,
      refreshMs: Number.POSITIVE_INFINITY,
      hits: 0,
      lastHitMs: 0,
    });
    const entries = Array.from({ length: 1_000 }, () => entry);
    const size = (maxBytes: number): number => {
      const blocks = [{ identity: IDENTITY, configVersions: [], entries }];
      const pieces = encodeSnapshot(blocks, clock, maxBytes);
      return Array.from(pieces, ({ length }) => length).reduce((sum, length) => sum + length, 0);
    };
    assert.ok(size(1_000_000) > 100_000);
    assert.ok(size(20_000) < 20_500, `${size(20_000)}`);
    assert.ok(size(20_000) > 19_000);
  });

  it('has room for any number of blocks', async () => {
    const bench = await warm(NAMES);
    for (let id = 2; id < 3_000; id++) bench.open({}, { id });
    const text = (id: number): string => `${'zone '.repeat(40)}${id}`;
    const pieces = bench.cache.snapshot((id) => (id === 1 ? IDENTITY : text(id)));
    const file = Buffer.concat(Array.from(pieces, (piece) => Buffer.from(piece)));
    assert.equal((await restarted(file, 0)).restored, 3);
  });

  it('is refused whole when a single byte has changed, or some are missing', async () => {
    const file = fileOf(await warm(NAMES));
    const isRefused = (damaged: Buffer): void =>
      assert.throws(
        () => new Bench().cache.restore(damaged, () => 1),
        (error) => error instanceof SnapshotError && error.reason === 'damaged',
      );
    for (let at = 0; at < file.length; at += 7) {
      if (at >= 16 && at < 20) continue;
      const damaged = Buffer.from(file);
      damaged[at] = (damaged[at] as number) ^ 0x10;
      isRefused(damaged);
    }
    for (const length of [0, 5, 30, file.length - 1]) isRefused(file.subarray(0, length));
  });

  it('of another version is refused as such', async () => {
    const file = Buffer.from(fileOf(await warm(NAMES)));
    file.writeUInt32BE(2, 16);
    assert.throws(
      () => new Bench().cache.restore(file, () => 1),
      (error) => error instanceof SnapshotError && error.reason === 'version',
    );
  });
});
