import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type AgentMessage,
  controlDecoder,
  encodeControl,
  type InitMessage,
} from '../../../agent/base/control.ts';

const STATUS: InitMessage = {
  type: 'status',
  state: 'intercepting',
  backend: 'nft',
  setupErrors: { iptables_lock: 2 },
};

function decode(...chunks: string[]): { messages: unknown[]; garbage: string[] } {
  const messages: unknown[] = [];
  const garbage: string[] = [];
  const push = controlDecoder<AgentMessage | InitMessage>(
    (message) => messages.push(message),
    (line) => garbage.push(line),
  );
  for (const chunk of chunks) push(chunk);
  return { messages, garbage };
}

describe('control messages', () => {
  const lines = encodeControl({ type: 'ready', nonce: 'n1' }) + encodeControl(STATUS);

  it('are read whole from chunks of any size', () => {
    const expected = { messages: [{ type: 'ready', nonce: 'n1' }, STATUS], garbage: [] };
    assert.deepEqual(decode(lines), expected);
    assert.deepEqual(decode(...lines), expected);
    for (let at = 1; at < lines.length; at++) {
      assert.deepEqual(decode(lines.slice(0, at), lines.slice(at)), expected);
    }
  });

  it('are complete only with their newline', () => {
    assert.deepEqual(decode('{"type":"ready"}'), { messages: [], garbage: [] });
  });

  for (const line of ['', 'ready', '{', '"type"', 'null', '7', '[]', '{}', '{"type":1}']) {
    it(`${JSON.stringify(line)} is invalid, and the next line is read`, () => {
      const { messages, garbage } = decode(
        `${line}\n${encodeControl({ type: 'ready', nonce: 'n1' })}`,
      );
      assert.deepEqual(garbage, [line]);
      assert.deepEqual(messages, [{ type: 'ready', nonce: 'n1' }]);
    });
  }

  const long = JSON.stringify({ type: 'ready', padding: 'x'.repeat(5_000) });
  const ready = encodeControl({ type: 'ready', nonce: 'n1' });

  it('that are too long are reported as invalid once', () => {
    const expected = { messages: [{ type: 'ready', nonce: 'n1' }], garbage: [long.slice(0, 200)] };
    assert.deepEqual(decode(`${long}\n${ready}`), expected);
    assert.deepEqual(decode(long, `\n${ready}`), expected);
    // Text inside a rejected line is no message, even if it looks like one.
    assert.deepEqual(decode(long, '{"type":"withdraw"}\n', ready), expected);
    assert.deepEqual(decode(long, long, long, `\n${ready}`), expected);
  });
});
