/** How slow this machine is at present, so that time limits for an ordinary machine can be scaled. */
import { execa } from 'execa';

/** How long an idle machine of two cores takes to start Node, milliseconds. */
const ORDINARY_START_MS = 40;
const STARTS = 5;
/** Maximum factor: a longer limit would prove nothing. */
const MAX_SLOWNESS = 8;

/** The slowdown of this machine against an ordinary idle one: 1 to 8. */
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

/** The limit `limitMs` of an ordinary machine, scaled for this one, milliseconds. */
export async function allowedMs(limitMs: number): Promise<number> {
  return Math.ceil(limitMs * (await slowness()));
}
