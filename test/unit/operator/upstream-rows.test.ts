/** An upstream of several blocks is one row: two rows with the same counters read as twice the queries. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { UpstreamLine } from '../../../agent/operator/protocol.ts';
import { upstreamRows } from '../../../agent/operator/upstream-rows.ts';

function line(to: string, state: string): UpstreamLine {
  const counters = { queries: 4, failures: 1, connections: 1, repliesMs: 9, replies: 3 };
  return { group: 'forward', to, state, ...counters };
}

it('an address of two blocks is one row with its own counters', () => {
  const rows = upstreamRows([line('a', 'up'), line('b', 'up'), line('a', 'up')]);
  assert.deepEqual(rows, [line('a', 'up'), line('b', 'up')]);
});

it('a row says for how many blocks the address is down', () => {
  const states = (...all: string[]): string[] =>
    upstreamRows(all.map((state) => line('a', state))).map(({ state }) => state);
  assert.deepEqual(states('up', 'down'), ['down 1/2']);
  assert.deepEqual(states('down', 'down'), ['down']);
  assert.deepEqual(states('slow', 'down', 'up'), ['down 1/3'], 'the worst');
  assert.deepEqual(states('slow', 'up'), ['slow 1/2']);
});
