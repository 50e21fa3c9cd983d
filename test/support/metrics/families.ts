/** The families of a source with their samples computed, as on a page. */
import type { Family, Sample, Source, Step } from '../../../agent/observe/metrics/samples.ts';

export interface ComputedFamily extends Omit<Family, 'values'> {
  readonly values: readonly Sample[];
}

/** Those that have samples. */
export function computed(families: Iterable<Family<Step>>): ComputedFamily[] {
  return [...families]
    .map((family) => ({
      ...family,
      values: [...family.values].filter((step) => step !== undefined),
    }))
    .filter(({ values }) => values.length > 0);
}

export function familyOf(source: Source, name: string): ComputedFamily | undefined {
  return computed(source.families()).find((family) => family.name === name);
}
