import assert from 'node:assert/strict';
import { endianness } from 'node:os';
import { describe, it } from 'node:test';
import { aliveBatch, aliveTable } from '../../../../init/alive/table.ts';
import { tableText } from '../../../../init/firewall/nft/table.ts';
import { initAddon } from '../../../../init/node/addon.ts';

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

const ALIVE = { port: 53, mark: 0x40, addresses: ['169.254.20.10', 'fd00::a'] };
/** `fd00::a`, and what comes before it. */
const V6 = [20, 0, 1, 0, 0xfd, ...Array(14).fill(0), 0xa];
const batch = aliveBatch('01234567', ALIVE);

describe('a batch of nf_tables messages', { skip: endianness() !== 'LE' }, () => {
  const messages = messagesOf(batch);

  it('is begun and ended, and only its last message is acknowledged', () => {
    assert.deepEqual(
      messages.map(({ type }) => type),
      [0x10, 0xa00, ...Array(4).fill([0xa03, 0xa06, 0xa06]).flat(), 0x11],
    );
    assert.deepEqual(
      messages.map(({ flags }) => (flags & 4) !== 0),
      [...Array(13).fill(false), true, false],
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

  it('marks before the query rules, and takes the mark off behind them', () => {
    const { chains } = aliveTable('01234567', ALIVE);
    const made = messages.filter(({ type }) => type === 0xa06).map(({ body }) => body);
    const ids = chains.flatMap(({ rules }) => rules.map(({ id }) => id));
    assert.equal(made.length, ids.length);
    for (const [i, body] of made.entries()) {
      const isMarking = ids[i]?.startsWith('mark-') === true;
      assert.ok(body.includes(Buffer.from([6, 0, 1, 0, 0, 53])), 'the port');
      const [family, address] = i % 2 === 0 ? [2, [8, 0, 1, 0, 169, 254, 20, 10]] : [10, V6];
      assert.ok(body.includes(Buffer.from([5, 0, 1, 0, family])), 'the family');
      assert.ok(body.includes(Buffer.from(address)), 'the address');
      assert.ok(
        body.includes(Buffer.from([8, 0, 1, 0, 0xbf, 0xff, 0xff, 0xff])),
        'other bits stay',
      );
      assert.ok(body.includes(Buffer.from([8, 0, 1, 0, isMarking ? 0x40 : 0, 0, 0, 0])), 'the bit');
      assert.ok(body.includes(`nodens:${ids[i]}:`), 'a comment as nft writes it');
    }
  });

  it('is what people are shown', () => {
    const text = tableText(aliveTable('01234567', ALIVE));
    assert.match(text, /^table inet nodens_alive_01234567 {/);
    assert.match(
      text,
      /hook output priority -302;.*\n.* th dport 53 ip daddr 169\.254\.20\.10 .*mark \| 0x40 /,
    );
    assert.match(
      text,
      /hook prerouting priority -290;.*\n.*\n.* ip6 daddr fd00::a .*mark & 0xffffffbf /,
    );
  });
});

const addon = initAddon();
const lendTable = addon instanceof Error ? undefined : addon.lendTable;
if (lendTable !== undefined)
  describe('a table that is lent', () => {
    it('needs a batch that the kernel takes', async () => {
      await assert.rejects(
        lendTable(Buffer.from('no message at all'), 1),
        (error: NodeJS.ErrnoException) => /^E[A-Z]+$/.test(error.code ?? ''),
      );
    });

    it('needs a descriptor that is open', async () => {
      await assert.rejects(async () => lendTable(batch, -1), { code: 'EBADF' });
    });
  });
