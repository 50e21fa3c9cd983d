/** An entry in the table of series. */

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
export const gauge = (help: string, labels: readonly string[] = []): SeriesSpec => ({
  type: 'gauge',
  help,
  labels,
});
export const histogram = (
  help: string,
  buckets: readonly number[],
  labels: readonly string[] = [],
): SeriesSpec => ({ type: 'histogram', help, labels, buckets });
