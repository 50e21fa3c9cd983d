/** Readers of streams and files. */
import assert from 'node:assert/strict';
import { crc32 } from 'node:zlib';
import {
  checkSnapshot,
  readSnapshot,
  SnapshotError,
} from '../../../agent/cache/snapshot/reader.ts';
import { KIND, MAGIC, NO_EXTENDED, VERSION } from '../../../agent/cache/snapshot/writer.ts';
import { FrameReader, frame, MAX_FRAME_BYTES } from '../../../agent/dns/frame.ts';
import type { Target } from '../loop.ts';

/** First size of a part, and the most that a reader requests beyond the received bytes. */
const SLACK_BYTES = 512;

/** Messages of a stream, read in the simplest way. */
function messagesIn(stream: Buffer): Buffer[] {
  const messages: Buffer[] = [];
  for (let at = 0; at + 2 <= stream.length; ) {
    const end = at + 2 + stream.readUInt16BE(at);
    if (end > stream.length) break;
    messages.push(stream.subarray(at + 2, end));
    at = end;
  }
  return messages;
}

/** The first byte sets the chunks of the stream. */
const frames: Target = {
  seeds: [
    Buffer.concat([Buffer.of(3), frame(Buffer.alloc(40, 1)), frame(Buffer.alloc(0))]),
    Buffer.concat([Buffer.of(1), frame(Buffer.alloc(700, 2)), Buffer.of(0xff, 0xff, 1)]),
  ],
  run: (input) => {
    const [size = 0] = input;
    const stream = input.subarray(1);
    const reader = new FrameReader();
    const read: Buffer[] = [];
    const chunkBytes = 1 + size * size;
    for (let at = 0; at < stream.length; at += chunkBytes) {
      const chunk = stream.subarray(at, at + chunkBytes);
      reader.push(chunk, (message) => read.push(Buffer.from(message)));
      const bound = Math.min(MAX_FRAME_BYTES, 2 * (at + chunk.length) + SLACK_BYTES);
      assert.ok(reader.heldBytes <= bound, `${reader.heldBytes} bytes held of ${at}`);
      assert.ok(!reader.hasMore);
    }
    const expected = messagesIn(stream);
    assert.equal(read.length, expected.length);
    assert.ok(read.every((message, i) => expected[i]?.equals(message)));
  },
};

function bytes(value: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(value.length);
  return Buffer.concat([length, value]);
}

function numbers(...list: readonly (readonly [bits: 16 | 32 | 64, value: number])[]): Buffer {
  return Buffer.concat(
    list.map(([bits, value]) => {
      const bytes = Buffer.alloc(bits / 8);
      if (bits === 64) bytes.writeDoubleBE(value);
      else bytes.writeUIntBE(value, 0, bits / 8);
      return bytes;
    }),
  );
}

/** The output of `encodeSnapshot` for one block with one entry, without the checksum. */
const SNAPSHOT = Buffer.concat([
  ...[MAGIC, numbers([32, VERSION], [64, 1e12])],
  ...[Buffer.of(KIND.block), numbers([32, 2]), bytes(Buffer.from('.')), bytes(Buffer.from('g'))],
  ...[Buffer.of(KIND.entry), bytes(Buffer.from('key')), numbers([32, 0], [16, 0])],
  ...[numbers([64, 1], [64, 2], [64, 3], [16, NO_EXTENDED]), bytes(Buffer.alloc(0))],
  ...[bytes(Buffer.alloc(40, 1)), Buffer.of(KIND.end)],
]);

/** With a valid checksum, which an attacker would write, too. */
const snapshot: Target = {
  seeds: [SNAPSHOT],
  run: (input) => {
    const sum = Buffer.alloc(4);
    sum.writeUInt32BE(crc32(input));
    let shown = 0;
    try {
      const file = Buffer.concat([input, sum]);
      checkSnapshot(file);
      const show = (): void => {
        shown++;
      };
      readSnapshot(file, { block: show, entry: show });
    } catch (error) {
      assert.ok(error instanceof SnapshotError, String(error));
    }
    assert.ok(shown <= input.length);
  },
};

export const STREAMS = { frames, snapshot };
