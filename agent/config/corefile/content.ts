/** The content of a server block's lines: directives with all their uses, and a hash that changes with them. */
import { createHash } from 'node:crypto';
import type { Block, Directive, Line } from './types.ts';

/** Uses of the same directive together, in file order. */
export function groupByName(lines: readonly Line[]): Directive[] {
  const groups = Map.groupBy(lines, (line) => line.name.text);
  return Array.from(groups, ([name, uses]) => ({
    name,
    place: (uses[0] as Line).name.place,
    uses,
  }));
}

/** Positions are left out: comments and blank lines do not count as a change. */
export function hashOf(blocks: readonly Block[]): string {
  const content = JSON.stringify(blocks, (key, value: unknown) =>
    key === 'place' || key === 'quoted' ? undefined : value,
  );
  return createHash('sha512').update(content).digest('hex');
}
