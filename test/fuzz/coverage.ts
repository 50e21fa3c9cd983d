/** The code of nodens that has run so far, byte by byte of its sources, as V8 counts it (blocks, not only functions). */
import { type Profiler, Session } from 'node:inspector';

const ROOT = new URL('../../', import.meta.url).href;
const OURS = [`${ROOT}agent/`, `${ROOT}init/`];

/** For each source: 1 where the byte has run. */
type Painted = Map<string, Uint8Array>;

export class Coverage {
  readonly #session = new Session();
  readonly #seen: Painted = new Map();
  /** Bytes of sources that have run. */
  bytes = 0;

  constructor() {
    this.#session.connect();
    this.#session.post('Profiler.enable');
    this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  /** Whether code has run for the first time since the last call. */
  isNew(): boolean {
    for (const [url, painted] of this.#take()) {
      const seen = this.#seen.get(url);
      if (painted.some((is, at) => is === 1 && seen?.[at] !== 1)) return true;
    }
    return false;
  }

  /** Marks the code that has run since the last call as known. */
  learn(): void {
    for (const [url, painted] of this.#take()) {
      const seen = this.#sized(url, painted.length);
      for (let at = 0; at < painted.length; at++) {
        if (painted[at] !== 1 || seen[at] === 1) continue;
        seen[at] = 1;
        this.bytes++;
      }
    }
  }

  close(): void {
    this.#session.disconnect();
  }

  #sized(url: string, length: number): Uint8Array {
    const seen = this.#seen.get(url) ?? new Uint8Array(0);
    if (seen.length >= length) return seen;
    const grown = new Uint8Array(length);
    grown.set(seen);
    this.#seen.set(url, grown);
    return grown;
  }

  /** V8 resets its counts at each call. */
  #take(): Painted {
    const painted: Painted = new Map();
    this.#session.post('Profiler.takePreciseCoverage', (error, taken) => {
      if (error !== null) throw error;
      for (const script of taken.result)
        if (OURS.some((room) => script.url.startsWith(room)))
          painted.set(script.url, paint(script.functions));
    });
    return painted;
  }
}

/** Outer functions and blocks come before inner ones, so the inner ones decide about their bytes. */
function paint(functions: readonly Profiler.FunctionCoverage[]): Uint8Array {
  const ranges = functions.flatMap((one) => one.ranges);
  const painted = new Uint8Array(Math.max(0, ...ranges.map(({ endOffset }) => endOffset)));
  for (const { startOffset, endOffset, count } of ranges)
    painted.fill(count > 0 ? 1 : 0, startOffset, endOffset);
  return painted;
}
