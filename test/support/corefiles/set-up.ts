/** A plugin set up from the text of its directive. */
import type { Plugin, Setup } from '../../../agent/query/plugin.ts';
import { type FakeServices, fakeServices } from '../services.ts';
import { parseDirective } from './parse.ts';

/** `text` is one directive with all its uses, as in `parseDirective`. Throws what `setup` throws. */
export function setUp(
  setup: Setup,
  text: string,
  services: FakeServices = fakeServices(),
  keys = '.',
): Plugin {
  const { directive, block } = parseDirective(text, keys);
  return setup(directive, block, services);
}
