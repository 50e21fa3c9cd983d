/** All fuzz targets, by name. */
import type { Target } from '../loop.ts';
import { keptSeeds } from '../seeds.ts';
import { MESSAGES } from './messages.ts';
import { STREAMS } from './streams.ts';
import { TEXTS } from './texts.ts';

export const TARGETS: ReadonlyMap<string, Target> = new Map(
  Object.entries({ ...MESSAGES, ...STREAMS, ...TEXTS }).map(([name, target]) => [
    name,
    { ...target, seeds: [...target.seeds, ...keptSeeds(name)] },
  ]),
);
