/** Bounds of histograms, in seconds or bytes; those of `coredns_` series are CoreDNS's. */

function exponential(start: number, factor: number, count: number): readonly number[] {
  return Array.from({ length: count }, (_, k) => Number((start * factor ** k).toPrecision(12)));
}

/** 0.25 ms doubling to 8.192 s: the range of waits of clients and for upstreams. */
export const TIME_BUCKETS = exponential(0.00025, 2, 16);
/** 0.01 ms to 5 s: a hit takes some hundredths of a millisecond, a client waits for five seconds at most. */
export const ANSWER_BUCKETS: readonly number[] = [
  0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.001, 0.01, 0.1, 1, 5,
];
/** Whether a phase took no time, that of a network, or too long; how long replies take has finer bounds elsewhere. */
export const PHASE_BUCKETS: readonly number[] = [0.00025, 0.001, 0.005, 0.05, 0.5, 2];
/** 0.25 ms times ten, to 2.5 s. */
export const SLIM_TIME_BUCKETS = exponential(0.00025, 10, 5);
/** 1 ms doubling to 524 s: from a change of a Service's endpoints to answers with it. */
export const PROGRAMMING_BUCKETS = exponential(0.001, 2, 20);
/** 5 ms to 10 s: the client library of Kubernetes in Go has these. */
export const API_BUCKETS: readonly number[] = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];
/** Bytes of a message; 511 and 1023 are just below the sizes at which transports change. */
export const SIZE_BUCKETS: readonly number[] = [
  0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16000, 32000, 48000, 64000,
];
