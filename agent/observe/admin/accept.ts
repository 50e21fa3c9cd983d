/** Which format of the metrics page a client prefers (RFC 9110 §12.5.1). */

const OPEN_METRICS = 'application/openmetrics-text';
/** Prometheus's own text, from the most specific range to the least. */
const TEXT_RANGES = ['text/plain', 'text/*', '*/*'];
/** Ranges, and parameters of one, that are looked at; Prometheus sends five, with up to three. */
const MAX_RANGES = 16;
const MAX_PARAMS = 8;

interface MediaRange {
  readonly type: string;
  /** Of the format: '' if the client takes any. */
  readonly version: string;
  /** From 0, not acceptable, to 1. */
  readonly weight: number;
}

/**
 * Whether to answer with OpenMetrics 1.0. Where a client takes both formats, it gets OpenMetrics only if there are
 * exemplars, which the other cannot carry: OpenMetrics writes some bounds of buckets in another way, and to a Prometheus
 * before 3.0 those are other series.
 */
export function wantsOpenMetrics(accept: string | undefined, hasExemplars: boolean): boolean {
  const ranges = (accept ?? '').toLowerCase().split(',', MAX_RANGES).map(rangeOf);
  const open = weightOf(
    ranges.filter(({ version }) => version === '' || version === '1.0.0'),
    OPEN_METRICS,
  );
  if (open === undefined || open === 0) return false;
  const texts = TEXT_RANGES.map((type) => weightOf(ranges, type));
  const text = texts.find((weight) => weight !== undefined) ?? 0;
  return text === 0 || (hasExemplars && open >= text);
}

function weightOf(ranges: readonly MediaRange[], type: string): number | undefined {
  const weights = ranges.filter((range) => range.type === type).map(({ weight }) => weight);
  return weights.length === 0 ? undefined : Math.max(...weights);
}

function rangeOf(text: string): MediaRange {
  const [type = '', ...rest] = text.split(';', 1 + MAX_PARAMS).map((part) => part.trim());
  const params = new Map(rest.map(paramOf));
  const weight = Number(params.get('q') ?? 1);
  const version = params.get('version') ?? '';
  return { type, version: version.replaceAll('"', ''), weight: weight >= 0 ? weight : 0 };
}

/** Without a regular expression: one that skips spaces takes a tenth of a second for a header of spaces. */
function paramOf(text: string): [name: string, value: string] {
  const [name = '', value = ''] = text.split('=', 2);
  return [name.trim(), value.trim()];
}
