import assert from 'node:assert/strict';
import { it } from 'node:test';
import { perServer } from '../../../agent/query/per-server.ts';

it('creates a value once for each listener, in any order', () => {
  const made: string[] = [];
  const values = perServer((label) => {
    made.push(label);
    return { label };
  });
  const third = { index: 2, label: 'dns://127.0.0.3:53' };
  const first = { index: 0, label: 'dns://127.0.0.1:53' };
  const value = values(third);
  assert.deepEqual(values(first), { label: first.label });
  assert.equal(values(third), value);
  assert.deepEqual(made, [third.label, first.label]);
});
