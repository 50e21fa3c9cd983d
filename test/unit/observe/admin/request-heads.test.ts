import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { describe, it } from 'node:test';
import { READ_BYTES, RequestHeads } from '../../../../agent/observe/admin/request-heads.ts';

/** What `next` returns for data that arrives in `parts`. */
function pieces(...parts: readonly string[]): string[] {
  const socket = new PassThrough();
  const heads = new RequestHeads(socket as unknown as Socket);
  const found: string[] = [];
  for (const part of parts) {
    socket.write(part, 'latin1');
    for (let piece = heads.next(); piece !== undefined; piece = heads.next())
      found.push(piece.toString('latin1'));
  }
  return found;
}

describe('heads of requests', () => {
  const head = 'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n';

  it('come one by one, whole where they have arrived', () => {
    assert.deepEqual(pieces(head), [head]);
    assert.deepEqual(pieces(`${head}${head}GET`), [head, head, 'GET']);
    assert.deepEqual(pieces('GET /\nHost: x\n\nGET'), ['GET /\nHost: x\n\n', 'GET']);
  });

  it('end where they end, wherever the data was cut', () => {
    for (let cut = 1; cut < head.length; cut++) {
      const found = pieces(head.slice(0, cut), `${head.slice(cut)}GET`);
      assert.deepEqual(found, [head.slice(0, cut), head.slice(cut), 'GET'], `cut at ${cut}`);
    }
    const bytes = [...head, ...head];
    assert.deepEqual(pieces(...bytes), bytes);
  });

  it('count every empty line, and are read in pieces where they are long', () => {
    assert.deepEqual(pieces('\r\n\n\r\n'), ['\r\n', '\n', '\r\n']);
    const long = `GET / HTTP/1.1\r\nX: ${'x'.repeat(READ_BYTES)}\r\n\r\n`;
    assert.deepEqual(pieces(`${long}GET`), [
      long.slice(0, READ_BYTES),
      long.slice(READ_BYTES),
      'GET',
    ]);
  });
});
