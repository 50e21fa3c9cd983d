/** A page of series as text. */
import { systemClock } from '../../../agent/base/clock.ts';
import { PacedWork } from '../../../agent/base/paced-work.ts';
import { Exposition } from '../../../agent/observe/metrics/exposition.ts';
import type { Source } from '../../../agent/observe/metrics/samples.ts';

export async function render(sources: readonly Source[], isOlder = false): Promise<string> {
  const exposition = new Exposition(sources, new PacedWork(systemClock));
  const { body } = await exposition.render(isOlder);
  return Buffer.concat([...body]).toString();
}
