import assert from 'node:assert/strict';
import { endianness } from 'node:os';
import { describe, it } from 'node:test';
import { initAddon } from '../../../../init/addon.ts';
import { aliveBatch, aliveTable } from '../../../../init/alive/table.ts';

interface Message {
  readonly type: number;
  readonly flags: number;
  readonly body: Buffer;
}

/** Message by message, as the kernel reads them. */
function messagesOf(batch: Buffer): Message[] {
  const messages: Message[] = [];
  for (let at = 0; at < batch.length; ) {
    const length = batch.readUInt32LE(at);
    messages.push({
      type: batch.readUInt16LE(at + 4),
      flags: batch.readUInt16LE(at + 6),
      body: batch.subarray(at + 16, at + length),
    });
    at += length;
  }
  return messages;
}

const batch = aliveBatch('01234567', { port: 53, mark: 0x2000 });

describe('a batch of nf_tables messages', { skip: endianness() !== 'LE' }, () => {
  const messages = messagesOf(batch);

  it('is begun and ended, and only its last message is acknowledged', () => {
    assert.deepEqual(
      messages.map(({ type }) => type),
      [0x10, 0xa00, 0xa03, 0xa03, 0xa06, 0xa06, 0x11],
    );
    assert.deepEqual(
      messages.map(({ flags }) => (flags & 4) !== 0),
      [false, false, false, false, false, true, false],
    );
    assert.ok(messages.every(({ flags }) => (flags & 1) !== 0));
    for (const { body } of [messages[0], messages.at(-1)] as Message[])
      assert.equal(body.toString('hex'), '0000000a');
  });

  it('is of family inet, and aligned', () => {
    for (const { body } of messages.slice(1, -1))
      assert.equal(body.toString('hex', 0, 4), '01000000');
    assert.ok(messages.every(({ body }) => body.length % 4 === 0));
  });

  it('makes a table that goes with its socket', () => {
    const flags = Buffer.from([8, 0, 2, 0, 0, 0, 0, 2]);
    assert.ok(messages[1]?.body.includes(flags));
    assert.ok(messages[1]?.body.includes('nodens_alive_01234567\0'));
  });

  it('marks as the text says that people are shown, and comments as nft does', () => {
    const { chains } = aliveTable('01234567', { port: 53, mark: 0x2000 });
    assert.equal(chains.flatMap(({ rules }) => rules).length, 2);
    for (const { body } of messages.slice(4, 6)) {
      assert.ok(body.includes(Buffer.from([6, 0, 1, 0, 0, 53])), 'the port');
      assert.ok(body.includes(Buffer.from([8, 0, 1, 0, 0xff, 0xdf, 0xff, 0xff])), 'other bits');
      assert.ok(body.includes(Buffer.from([8, 0, 1, 0, 0, 0x20, 0, 0])), 'the bit');
      assert.match(body.toString('latin1'), /\0.nodens:alive-(prerouting|output):[0-9a-f]{8}\0/);
    }
  });
});

const lendTable = initAddon()?.lendTable;
if (lendTable !== undefined)
  describe('a table that is lent', () => {
    it('needs a batch that the kernel takes', async () => {
      await assert.rejects(
        lendTable(Buffer.from('no message at all'), 1),
        (error: NodeJS.ErrnoException) => /^E[A-Z]+$/.test(error.code ?? ''),
      );
    });

    it('needs a descriptor that is open', async () => {
      await assert.rejects(async () => lendTable(batch, 4_000), { code: 'EBADF' });
    });
  });
