/**
 * How a probe ended, the label `result` of its counter. `answers_below`: the name is denied, but the server answers
 * below it, or its denial cannot be stored. `late`: after the questions that it held had gone on, with any result.
 * `deferred`: not sent, because there were too many.
 */
export type ProbeResult = 'denied' | 'exists' | 'answers_below' | 'failed' | 'late' | 'deferred';
