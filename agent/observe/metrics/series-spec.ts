/** An entry in the table of series. */

/** One name: its type, its text for HELP, and the names of its labels. */
export interface SeriesSpec {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper bounds in ascending order, without +Inf; histograms only. */
  readonly buckets?: readonly number[];
  /** Label values that are exported as 0 from the start, so that a rate over them exists before the first event. */
  readonly preset?: readonly Readonly<Record<string, string>>[];
  /** A counter that is exported as 0 once code knows its labels: a single event must show, as alerts ask for. */
  readonly startsAtZero?: boolean;
}

type Rest = Pick<SeriesSpec, 'preset' | 'startsAtZero'>;

/**
 * Entry of a counter. Without labels it is exported as 0 from the start, with `preset` or `startsAtZero` before the first
 * event, else from the first event on, as CoreDNS does: a page has no series of what never happens.
 */
export const counter = (
  help: string,
  labels: readonly string[] = [],
  rest: Rest = {},
): SeriesSpec => ({
  type: 'counter',
  help,
  labels,
  ...rest,
});
/** Entry of a gauge. It is exported once it has been set. */
export const gauge = (help: string, labels: readonly string[] = []): SeriesSpec => ({
  type: 'gauge',
  help,
  labels,
});
/** Entry of a histogram. `buckets` are in the unit that its name ends in. */
export const histogram = (
  help: string,
  buckets: readonly number[],
  labels: readonly string[] = [],
): SeriesSpec => ({ type: 'histogram', help, labels, buckets });
