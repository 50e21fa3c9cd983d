/** Durations in Go's format (`1h30m`, `500ms`), as in Corefiles and node-local-dns's flags. */

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};

const PART = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/y;

/** Milliseconds of a Go duration, or undefined for other text. A unit is mandatory except for `0`. */
export function parseDurationMs(text: string): number | undefined {
  const negative = text.startsWith('-');
  const body = text.replace(/^[+-]/, '');
  if (body === '0') return 0;
  let totalMs = 0;
  PART.lastIndex = 0;
  while (PART.lastIndex < body.length) {
    const match = PART.exec(body);
    if (match === null) return undefined;
    totalMs += Number(match[1]) * (UNIT_MS[match[2] as string] as number);
  }
  if (body.length === 0) return undefined;
  return negative ? -totalMs : totalMs;
}

/** As `parseDurationMs`, but a bare number counts in seconds (`60`, as people write `-syncinterval`). */
export function parseSecondsOrDurationMs(text: string): number | undefined {
  return /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1_000 : parseDurationMs(text);
}

const MIN_SYNC_INTERVAL_MS = 1_000;

/**
 * Milliseconds of `-syncinterval`, or undefined if the text is not at least a second. node-local-dns multiplies the
 * value by one second, so its users write `60ns` for 60 s.
 */
export function parseSyncIntervalMs(text: string): number | undefined {
  const ms = parseSecondsOrDurationMs(/^(\d+)ns$/.exec(text)?.[1] ?? text);
  return ms !== undefined && ms >= MIN_SYNC_INTERVAL_MS ? ms : undefined;
}

/** Text of a duration, in the largest units without a fraction: `1h30m`, `90s` → `1m30s`, `250ms`. */
export function formatDuration(durationMs: number): string {
  if (durationMs < 1_000) return `${durationMs}ms`;
  let rest = durationMs;
  let text = '';
  for (const [unit, unitMs] of [
    ['h', 3_600_000],
    ['m', 60_000],
  ] as const) {
    if (rest < unitMs) continue;
    text += `${Math.floor(rest / unitMs)}${unit}`;
    rest %= unitMs;
  }
  return rest === 0 ? text : `${text}${rest / 1_000}s`;
}
