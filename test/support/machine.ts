/** How slow this machine is at present, so that a time that is promised for an ordinary one can be asked of it, too. */
import { execa } from 'execa';

/** How long an idle machine of two cores takes to start Node, milliseconds. */
const ORDINARY_START_MS = 40;
const STARTS = 5;
/** A limit that is longer than this many times the promised one would show nothing. */
const MAX_SLOWNESS = 8;

/** How many times longer than an ordinary idle machine this one needs at present: 1 to 8. */
export async function slowness(): Promise<number> {
  const tookMs: number[] = [];
  for (let i = 0; i < STARTS; i++) {
    const startMs = performance.now();
    await execa(process.execPath, ['-e', '0'], { env: {}, extendEnv: false });
    tookMs.push(performance.now() - startMs);
  }
  const median = tookMs.sort((a, b) => a - b)[STARTS >> 1] as number;
  return Math.min(MAX_SLOWNESS, Math.max(1, median / ORDINARY_START_MS));
}

/** What a promise of `limitMs` for an ordinary machine is on this one at present, milliseconds. */
export async function allowedMs(limitMs: number): Promise<number> {
  return Math.ceil(limitMs * (await slowness()));
}
