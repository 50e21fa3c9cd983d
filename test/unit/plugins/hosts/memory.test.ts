import assert from 'node:assert/strict';
import { it } from 'node:test';
import { MemoryLedger } from '../../../../agent/base/clients/memory-ledger.ts';
import { nameFromText } from '../../../../agent/dns/name.ts';
import { Room } from '../../../../agent/plugins/hosts/arena.ts';
import { TableBuilder } from '../../../../agent/plugins/hosts/builder.ts';
import type { HostsTable } from '../../../../agent/plugins/hosts/table.ts';

const MEBI = 2 ** 20;
const LINES = 100_000;
const DOMAIN = 'a-domain-of-some-length.example.org';
const OPTIONS = { zones: [nameFromText('.')], reverse: true };
const ledger = new MemoryLedger({ clientBudgetBytes: 0, fileBudgetBytes: 64 * MEBI });

/** A table of lines from `first` on. Like a file, they are read through one buffer. */
function tableFrom(first: number): HostsTable {
  const builder = new TableBuilder(OPTIONS, new Room(ledger), 5 * MEBI);
  const chunk = Buffer.alloc(128);
  for (let i = first; i < first + LINES; i++) {
    const text = `10.${i >> 16}.${(i >> 8) & 255}.${i & 255} h${i}.${DOMAIN}\n`;
    for (const _ of builder.add(chunk.subarray(0, chunk.latin1Write(text)))) void _;
  }
  for (const _ of builder.end('')) void _;
  return builder.table;
}

const has = (table: HostsTable, i: number): boolean =>
  table.findName(nameFromText(`h${i}.${DOMAIN}`)) !== 0;

it('a table is no reason for V8 to collect garbage, and the next one takes its memory', () => {
  const beforeBytes = process.memoryUsage().external;
  const first = tableFrom(0);
  assert.ok(first.bytes > 4 * MEBI, `${first.bytes} bytes`);
  // What V8 counts here starts a full collection once it has grown by some megabytes.
  const countedBytes = process.memoryUsage().external - beforeBytes;
  assert.ok(countedBytes < 2 * MEBI, `${countedBytes} bytes of ${first.bytes} are counted`);
  const heldBytes = process.memoryUsage().arrayBuffers;
  for (const _ of first.free()) void _;
  assert.equal(ledger.fileBytes, 0);

  const second = tableFrom(LINES);
  const moreBytes = process.memoryUsage().arrayBuffers - heldBytes;
  assert.ok(moreBytes < 2 * MEBI, `${moreBytes} bytes more`);
  assert.ok(has(second, LINES) && has(second, 2 * LINES - 1));
  assert.ok(!has(second, 0) && !has(second, LINES - 1), 'names of the former table');
});
