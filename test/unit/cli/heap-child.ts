/** Allocates as a flood of new names does, while V8 marks; prints the largest size of the young generation in bytes. */
import { getHeapSpaceStatistics } from 'node:v8';
import { setRunningFlags } from '../../../agent/cli/heap.ts';

const KEPT = 60_000;
const TIMES = 20;

if (process.argv[2] === 'together') setRunningFlags();

const youngBytes = (): number =>
  getHeapSpaceStatistics()
    .filter(({ space_name }) => space_name === 'new_space')
    .reduce((sum, { space_size }) => sum + space_size, 0);

let largest = 0;
const kept: string[][] = [];
for (let i = 0; i < KEPT * TIMES; i++) {
  const entry = [`${i}`, `name-${i}`];
  if (i % TIMES === 0) kept.push(entry);
  if (i % 1_000 === 0) largest = Math.max(largest, youngBytes());
}
process.stdout.write(`${largest}\n`);
