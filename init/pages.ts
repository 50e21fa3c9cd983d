/** init lets go of pages as the agent does, with the agent's addon where there is one. */
import { createRequire } from 'node:module';
import type { Clock } from '../agent/base/clock.ts';
import { type PagesAddon, releaseRegularly } from '../agent/base/pages.ts';

/** Beside the bundle, or where the install script puts it in a source tree. */
const PLACES = ['../native/nodens.node', '../build/nodens.node'];

/** Without the addon init is larger, and that is all. */
export function keepSmall(clock: Clock): void {
  const load = createRequire(import.meta.url);
  for (const place of PLACES) {
    try {
      releaseRegularly(load(place) as PagesAddon, clock);
      return;
    } catch {
      // The next one, or none.
    }
  }
}
