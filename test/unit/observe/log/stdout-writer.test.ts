import assert from 'node:assert/strict';
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileSink, LineWriter, type Sink } from '../../../../agent/observe/log/stdout-writer.ts';
import { settle } from '../../../support/fake-clock.ts';

function recorder(): Sink & { readonly writes: string[]; syncs: number } {
  return {
    writes: [] as string[],
    syncs: 0,
    write(text) {
      this.writes.push(text);
    },
    flushSync() {
      this.syncs++;
    },
  };
}

describe('LineWriter', () => {
  it('writes the lines of one event loop turn at once, in order', async () => {
    const sink = recorder();
    const writer = new LineWriter(sink, { value: 0 });
    writer.writeLine('a');
    writer.writeLine('b');
    assert.deepEqual(sink.writes, []);
    await settle();
    writer.writeLine('c');
    await settle();
    assert.deepEqual(sink.writes, ['a\nb\n', 'c\n']);
  });

  it('drops and counts what exceeds the bound of a turn', async () => {
    const sink = recorder();
    const dropped = { value: 0 };
    const writer = new LineWriter(sink, dropped, 10);
    for (let i = 0; i < 5; i++) writer.writeLine('1234');
    await settle();
    assert.deepEqual(sink.writes, ['1234\n1234\n']);
    assert.equal(dropped.value, 3);
    writer.writeLine('next');
    await settle();
    assert.equal(sink.writes.at(-1), 'next\n');
  });

  it('flushes all lines on request, and none twice', async () => {
    const sink = recorder();
    const writer = new LineWriter(sink, { value: 0 });
    writer.writeLine('last');
    writer.flushSync();
    assert.deepEqual(sink.writes, ['last\n']);
    assert.equal(sink.syncs, 1);
    await settle();
    assert.equal(sink.writes.length, 1);
  });
});

describe('fileSink', () => {
  it('buffers at most its bound for a slow reader and counts the lines it drops', () => {
    const folder = mkdtempSync(join(tmpdir(), 'nodens-lines-'));
    const file = join(folder, 'out');
    const fd = openSync(file, 'w');
    const dropped = { value: 0 };
    const sink = fileSink(fd, dropped);
    const block = `${'x'.repeat(1023)}\n`.repeat(256);
    // Nothing is read or written between these calls: the event loop does not turn.
    for (let i = 0; i < 8; i++) sink.write(block);
    assert.equal(dropped.value, 4 * 256);
    sink.flushSync();
    assert.equal(readFileSync(file, 'utf8').length % 1024, 0);
    // The descriptor stays open: the sink may still write to it, at the latest when the process ends.
    rmSync(folder, { recursive: true });
  });
});
