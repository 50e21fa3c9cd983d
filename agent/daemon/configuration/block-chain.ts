/** What a block's chain is to the routes that lead to it. */
import type { Block, Directive } from '../../config/corefile/types.ts';
import { PLUGINS } from '../../plugins/order.ts';
import { compose, type Plugin } from '../../query/plugin.ts';
import type { Route } from '../../query/routing.ts';
import type { BlockContext } from '../../query/services/block.ts';
import { refuse } from '../../server/dispatch.ts';

/** Fields that all routes of a block share. */
export type Chain = Pick<Route, 'handler' | 'anyClass' | 'accepts' | 'block'>;

/** The block as `nodens query -trace` explains it. */
export function routedBlock(
  { keys, directives }: Block,
  { id, view }: BlockContext,
  plugins: readonly Plugin[],
): Route['block'] {
  const place = keys[0]?.place ?? directives[0]?.place;
  if (place === undefined) return undefined;
  const handling = plugins.filter(({ handle }) => handle !== undefined);
  return {
    ...{ id, view, place, plugins: handling.map(({ name }) => name) },
    wrapped: (wrap) =>
      compose(
        plugins.map(({ name, handle, watch }) => ({
          name,
          ...(watch === undefined ? {} : { watch }),
          ...(handle === undefined ? {} : { handle: wrap(name, handle) }),
        })),
        refuse,
      ),
  };
}

/** Plugins need the name before `view` is set up, which checks that there is exactly one. */
export function viewNameOf({ directives }: Block): string {
  return directives.find(({ name }) => name === 'view')?.uses[0]?.args[0]?.text ?? '';
}

/** Collects metadata if the block asks for it, and applies the block's filters. Undefined if it has neither. */
export function acceptanceOf(plugins: readonly Plugin[]): Route['accepts'] {
  const isDescribed = plugins.some((plugin) => plugin.name === 'metadata');
  const describers = isDescribed ? plugins.filter((plugin) => plugin.describe !== undefined) : [];
  const filters = plugins.filter((plugin) => plugin.accepts !== undefined);
  if (describers.length === 0 && filters.length === 0) return undefined;
  return (query) => {
    query.metadata = undefined;
    for (const plugin of describers) plugin.describe?.(query);
    return filters.every((plugin) => plugin.accepts?.(query));
  };
}

/** The block's directives in the order of the chain. */
export function inChainOrder(block: Block): Directive[] {
  return PLUGINS.flatMap(({ name }) =>
    block.directives.filter((directive) => directive.name === name),
  );
}
