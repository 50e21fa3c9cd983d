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
}

type Rest = Pick<SeriesSpec, 'preset'>;

/** Entry of a counter. Without labels it is exported as 0 from the start, else from `preset` or the first event. */
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
