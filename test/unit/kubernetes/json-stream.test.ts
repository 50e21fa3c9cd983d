/** Texts of a stream, however its bytes are cut. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LineReader, MAX_OBJECT_BYTES } from '../../../agent/kubernetes/json-stream.ts';

function readerOf(): { lines: string[]; reader: LineReader } {
  const lines: string[] = [];
  return { lines, reader: new LineReader((line) => lines.push(line)) };
}

describe('LineReader', () => {
  it('has the same lines wherever the stream is cut, within a character as well', () => {
    const wanted = ['{"a":1}', '{"name":"größe €"}', '', '{"b":"\u{1f600}"}', ''];
    const bytes = Buffer.from(wanted.join('\n'));
    for (let first = 0; first <= bytes.length; first++)
      for (let second = first; second <= bytes.length; second++) {
        const { lines, reader } = readerOf();
        for (const chunk of [
          bytes.subarray(0, first),
          bytes.subarray(first, second),
          bytes.subarray(second),
        ])
          Array.from(reader.read(chunk));
        assert.deepEqual(lines, wanted.filter(Boolean), `cut at ${first} and ${second}`);
      }
  });

  it('hands over one line in a step, so that DNS can have its turn between any two', () => {
    const { lines, reader } = readerOf();
    const steps = reader.read(Buffer.from('1\n2\n3\n4'));
    for (let step = 1; step <= 3; step++) {
      steps.next();
      assert.equal(lines.length, step);
    }
    assert.equal(steps.next().done, true);
    Array.from(reader.read(Buffer.from('5\n')));
    assert.deepEqual(lines, ['1', '2', '3', '45']);
  });

  it('refuses a line that is too long, and takes one of the greatest length', () => {
    const { lines, reader } = readerOf();
    const half = Buffer.alloc(MAX_OBJECT_BYTES / 2, 'x');
    for (const chunk of [half, half, Buffer.from('\nnext\n')]) Array.from(reader.read(chunk));
    assert.deepEqual(
      lines.map(({ length }) => length),
      [MAX_OBJECT_BYTES, 4],
    );
    Array.from(reader.read(half));
    Array.from(reader.read(half));
    assert.throws(() => Array.from(reader.read(Buffer.from('x'))), /an event is longer than/);
  });
});
