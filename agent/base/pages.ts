/** Keeps a process as small as what it uses (`native/process/release_pages.c`). */
import type { Clock, Timer } from './clock.ts';

/** What it exports. */
export interface PagesAddon {
  /** Lets go of the program's own pages; the ones in use come back as they are used. About half a millisecond. */
  releasePages(): void;
}

/** Long enough that what comes back costs nothing, short enough that a start or a flood is soon forgotten. */
const INTERVAL_MS = 5_000;

/** Lets go of pages from time to time, until cancelled. */
export function releaseRegularly(addon: PagesAddon, clock: Clock): Timer {
  return clock.every(INTERVAL_MS, () => addon.releasePages());
}
