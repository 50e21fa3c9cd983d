import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FrameReader, frame, MAX_FRAME_BYTES } from '../../../agent/dns/frame.ts';

function collect(...chunks: Uint8Array[]): { messages: string[]; isMidFrame: boolean } {
  const reader = new FrameReader();
  const messages: string[] = [];
  for (const chunk of chunks) {
    reader.push(Buffer.from(chunk), (message) => messages.push(message.toString('latin1')));
  }
  return { messages, isMidFrame: reader.isMidFrame };
}

const framed = (text: string): Buffer => frame(Buffer.from(text, 'latin1'));

describe('FrameReader', () => {
  it('reads several messages from one chunk', () => {
    const chunk = Buffer.concat([framed('one'), framed(''), framed('three')]);
    assert.deepEqual(collect(chunk), { messages: ['one', '', 'three'], isMidFrame: false });
  });

  it('assembles a message from single bytes', () => {
    const chunks = [...Buffer.concat([framed('one'), framed('two')])].map((o) => Buffer.of(o));
    assert.deepEqual(collect(...chunks), { messages: ['one', 'two'], isMidFrame: false });
  });

  it('is mid-frame after half a length and after half a message', () => {
    assert.deepEqual(collect(Buffer.of(0)), { messages: [], isMidFrame: true });
    assert.deepEqual(collect(Buffer.of(0, 2)), { messages: [], isMidFrame: true });
    assert.deepEqual(collect(Buffer.of(0, 2, 9)), { messages: [], isMidFrame: true });
    assert.deepEqual(collect(Buffer.of()), { messages: [], isMidFrame: false });
  });

  it('keeps what is unread of a chunk whose memory is used again, and nothing else of it', () => {
    const whole = Buffer.concat([framed('one'), framed('two'), framed('three')]);
    const memory = Buffer.from(whole.subarray(0, 13));
    const reader = new FrameReader();
    reader.feed(memory);
    assert.equal(reader.next()?.toString(), 'one');
    reader.keep();
    assert.equal(reader.heldBytes, 8);
    memory.fill('!');
    assert.equal(reader.next()?.toString(), 'two');
    reader.keep();
    assert.equal(reader.heldBytes, 8, 'a copy is not copied');
    assert.equal(reader.next(), undefined);
    reader.keep();
    reader.feed(whole.subarray(13));
    assert.equal(reader.next()?.toString(), 'three');
    reader.keep();
    assert.equal(reader.heldBytes, 0);
    assert.equal(reader.next(), undefined);
  });

  it('cuts a message that is too long, before the rest of it has arrived', () => {
    const reader = new FrameReader(8);
    const stream = Buffer.concat([framed('short'), framed('x'.repeat(60_000))]);
    reader.feed(stream.subarray(0, 12));
    assert.equal(reader.next()?.toString(), 'short');
    assert.equal(reader.next(), undefined);
    reader.feed(stream.subarray(12, 20));
    assert.equal(reader.next()?.toString(), 'x'.repeat(8));
    assert.ok(reader.isCut);
  });

  it('reads the longest message', () => {
    const longest = 'x'.repeat(MAX_FRAME_BYTES);
    const bytes = framed(longest);
    assert.deepEqual(collect(bytes.subarray(0, 9), bytes.subarray(9)).messages, [longest]);
  });
});

describe('frame', () => {
  it('adds the length', () => {
    assert.deepEqual(framed('abc'), Buffer.from('\0\x03abc', 'latin1'));
  });

  it('refuses a message that no frame can hold', () => {
    assert.throws(() => frame(Buffer.alloc(MAX_FRAME_BYTES + 1)), RangeError);
  });
});
