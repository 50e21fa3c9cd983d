import assert from 'node:assert/strict';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { BlockIdentities } from '../../../../agent/daemon/configuration/block-ids.ts';
import { SnapshotFile } from '../../../../agent/daemon/state/snapshot-file.ts';
import { parseText } from '../../../support/corefiles/parse.ts';
import { addressRecord, Bench } from '../../cache/harness.ts';

const [BLOCK] = parseText('.:53 {\ncache\n}\n').blocks;
let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nodens-snapshot-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

class Process {
  readonly bench = new Bench();
  readonly file: SnapshotFile;

  constructor(path: string, maxBytes = 1_000_000) {
    const identities = new BlockIdentities(() => {});
    // Another process may number its blocks in another order.
    for (let i = Math.floor(Math.random() * 5); i >= 0; i--) {
      identities.idOf(parseText(`z${i}:53 {\ncache\n}\n`).blocks[0] as never, []);
    }
    const id = identities.idOf(BLOCK as never, ['127.0.0.1']);
    this.bench.open({}, { id });
    const { clock, metrics, log } = this.bench.services;
    const { cache } = this.bench;
    this.file = new SnapshotFile({ path, cache, identities, clock, metrics, log, maxBytes });
    this.bench.upstream = (query) => this.bench.reply(query, { answer: [addressRecord(60)] });
  }

  count(name: string, labels: Record<string, string> = {}): number {
    return this.bench.count(`nodens_snapshot_${name}`, labels);
  }
}

describe('snapshot file', () => {
  it('is written on exit and read at the start', async () => {
    const path = join(folder, 'cache.snapshot');
    const first = new Process(path);
    assert.equal(first.file.load(), 0);
    await first.bench.ask();
    await first.file.stop();
    assert.equal(first.count('entries'), 1);
    assert.equal(first.count('bytes'), statSync(path).size);
    assert.deepEqual(readdirSync(folder), ['cache.snapshot']);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    const second = new Process(path);
    assert.equal(second.file.load(), 1);
    assert.equal(second.count('restored_entries'), 1);
    second.bench.hit();
  });

  it('is written every minute, where there are new entries', async () => {
    const path = join(folder, 'cache.snapshot');
    const { file, bench } = new Process(path);
    file.start();
    await bench.services.clock.advance(60_000);
    await file.write();
    assert.deepEqual(readdirSync(folder), []);
    await bench.ask();
    await bench.services.clock.advance(60_000);
    await file.write();
    const { mtimeMs, ino } = statSync(path);
    await bench.services.clock.advance(60_000);
    await file.stop();
    assert.deepEqual([statSync(path).mtimeMs, statSync(path).ino], [mtimeMs, ino]);
    assert.equal(bench.count('nodens_snapshot_age_seconds'), 60);
  });

  it('is written anew after a flush, and says if it could not be', async () => {
    const path = join(folder, 'cache.snapshot');
    const { file, bench } = new Process(path);
    await bench.ask();
    await file.write();
    for (const stored of bench.cache.entries()) bench.cache.remove(stored);
    await file.write();
    assert.equal(new Process(path).file.load(), 1, 'nothing new was stored');
    assert.equal(await file.rewrite(), true);
    assert.equal(new Process(path).file.load(), 0);
    await bench.ask();
    const elsewhere = new Process(join(folder, 'missing', 'cache.snapshot'));
    assert.equal(await elsewhere.file.rewrite(), false);
  });

  it('that is damaged is counted and moved aside, and the start continues', () => {
    const path = join(folder, 'cache.snapshot');
    writeFileSync(path, 'something else');
    const { file, bench } = new Process(path);
    assert.equal(file.load(), 0);
    assert.equal(bench.count('nodens_snapshot_errors_total', { reason: 'damaged' }), 1);
    assert.equal(readFileSync(`${path}.damaged`, 'utf8'), 'something else');
    assert.equal(bench.services.log.records.at(-1)?.level, 'warn');
  });

  it('that is too large is not read', () => {
    const path = join(folder, 'cache.snapshot');
    writeFileSync(path, Buffer.alloc(1_001));
    const { file, bench } = new Process(path, 1_000);
    assert.equal(file.load(), 0);
    assert.equal(bench.count('nodens_snapshot_errors_total', { reason: 'damaged' }), 1);
  });

  it('that cannot be read or written is counted', async () => {
    const { file, bench } = new Process(folder);
    assert.equal(file.load(), 0);
    assert.equal(bench.count('nodens_snapshot_errors_total', { reason: 'untrusted' }), 1);
    const behindFile = new Process(join(import.meta.filename, 'cache.snapshot'));
    assert.equal(behindFile.file.load(), 0);
    assert.ok(behindFile.count('errors_total', { reason: 'read' }) > 0);
    const nowhere = new Process(join(folder, 'missing', 'cache.snapshot'));
    await nowhere.bench.ask();
    await nowhere.file.stop();
    assert.equal(nowhere.count('errors_total', { reason: 'write' }), 1);
  });

  it('removes the files of a process that died while it wrote, and keeps those of a process that still writes', () => {
    const path = join(folder, 'cache.snapshot');
    const { file, bench } = new Process(path);
    const nowSeconds = bench.services.clock.wallMs() / 1_000;
    for (const [name, ageSeconds] of Object.entries({ dead: 3_600, alive: 60 })) {
      writeFileSync(`${path}.tmp-${name}`, 'half of it');
      utimesSync(`${path}.tmp-${name}`, nowSeconds, nowSeconds - ageSeconds);
    }
    file.load();
    assert.deepEqual(readdirSync(folder), ['cache.snapshot.tmp-alive']);
  });

  it('without a folder is one warning with a remedy, and is counted each time', async () => {
    const path = join(folder, 'state', 'cache.snapshot');
    const { file, bench } = new Process(path);
    const warnings = (): string[] =>
      bench.services.log.records.flatMap(({ level, fields }) =>
        level === 'warn' ? [String(fields.remedy)] : [],
      );
    assert.equal(file.load(), 0);
    assert.deepEqual(warnings(), [
      `${join(folder, 'state')} does not exist: mount a volume there, or start without -snapshot`,
    ]);
    file.start();
    await bench.ask();
    for (let minute = 0; minute < 3; minute++) {
      await bench.services.clock.advance(60_000);
      await file.write();
    }
    assert.equal(warnings().length, 1);
    assert.ok(bench.count('nodens_snapshot_errors_total', { reason: 'write' }) > 3);

    mkdirSync(join(folder, 'state'));
    await file.write();
    assert.deepEqual(readdirSync(join(folder, 'state')), ['cache.snapshot']);
    rmSync(join(folder, 'state'), { recursive: true });
    await bench.ask({ name: 'other.' });
    await file.stop();
    assert.equal(warnings().length, 2, 'missing again after it had worked');
  });

  it('of two pods that overlap is always whole, and is that of the last writer', async () => {
    const path = join(folder, 'cache.snapshot');
    const [old, next] = [new Process(path), new Process(path)];
    for (const { bench } of [old, next]) await bench.ask();
    await old.file.write();
    assert.equal(next.file.load(), 0, 'the entries in the cache are newer');
    await Promise.all([old.file.write(), next.file.write(), old.file.stop()]);
    assert.deepEqual(readdirSync(folder), ['cache.snapshot']);
    assert.equal(new Process(path).file.load(), 1);
    for (const { bench } of [old, next])
      assert.equal(bench.count('nodens_snapshot_errors_total'), 0);
  });
});
