/** Releases memory pages that the process no longer uses (`native/process/release_pages.c`). */
import type { Clock, Timer } from './clock.ts';

/** Exports of that file. */
export interface PagesAddon {
  /** Releases the program's own pages; pages in use are loaded again on access. About half a millisecond. */
  releasePages(): void;
}

/** Long enough that reloading pages costs nothing, short enough that memory soon shrinks after a start or a flood. */
const INTERVAL_MS = 5_000;

/** Releases pages at intervals, until cancelled. */
export function releaseRegularly(addon: PagesAddon, clock: Clock): Timer {
  return clock.every(INTERVAL_MS, () => addon.releasePages());
}
