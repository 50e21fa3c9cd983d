/** What a watch tells about itself: series, and one log line at the start and the end of a failure. */
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { Logger } from '../query/services/log.ts';
import type { Histogram, Metrics } from '../query/services/metrics.ts';
import { ApiError } from './errors.ts';

/** What reports need; `host` is that of the API server with its port, `server` its URL. */
export interface ReportParts {
  readonly server: string;
  readonly host: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** Every request is a GET. */
const METHOD = 'GET';

/** Reports of one watch; `resource` is the last word of the collection's path. */
export class Reports {
  readonly #resource: string;
  readonly #server: string;
  readonly #host: string;
  readonly #clock: Clock;
  readonly #durations: Histogram;
  readonly #log: Logger;
  readonly #metrics: Metrics;
  readonly #events: { value: number };
  #isFailing = false;

  constructor(path: string, { server, host, clock, log, metrics }: ReportParts) {
    this.#resource = path.slice(path.lastIndexOf('/') + 1);
    this.#server = server;
    this.#host = host;
    this.#clock = clock;
    const labels = { verb: METHOD, host };
    this.#durations = metrics.histogram(
      'coredns_kubernetes_rest_client_request_duration_seconds',
      labels,
    );
    this.#log = log;
    this.#metrics = metrics;
    this.#events = metrics.counter('nodens_api_events_total', { resource: this.#resource });
  }

  /** Counts a request by its verb and outcome. */
  async counting<T>(verb: 'list' | 'watch', request: Promise<T>): Promise<T> {
    const beganMs = this.#clock.nowMs();
    const count = (code: string): void => {
      const metrics = this.#metrics;
      const labels = { resource: this.#resource, verb, code };
      metrics.counter('nodens_api_requests_total', labels).value++;
      const names = { method: METHOD, host: this.#host, code: code === 'none' ? '<error>' : code };
      metrics.counter('coredns_kubernetes_rest_client_requests_total', names).value++;
      this.#durations.observe((this.#clock.nowMs() - beganMs) / 1_000);
    };
    try {
      const result = await request;
      count('200');
      return result;
    } catch (error) {
      count(error instanceof ApiError && error.status > 0 ? String(error.status) : 'none');
      throw error;
    }
  }

  event(): void {
    this.#events.value++;
  }

  /** An object that cannot be read. */
  malformed(): void {
    this.#metrics.counter('nodens_api_malformed_objects_total', { resource: this.#resource })
      .value++;
  }

  /** The API server no longer knows the version at which the watch would resume. */
  relisted(): void {
    this.#metrics.counter('nodens_api_relists_total', { resource: this.#resource }).value++;
  }

  failed(error: unknown): void {
    if (this.#isFailing) return;
    this.#isFailing = true;
    const status = error instanceof ApiError ? error.status : 0;
    const fix =
      status === 403
        ? { remedy: `allow the agent's ServiceAccount to get, list and watch ${this.#resource}` }
        : {};
    this.#log.warn(
      { event: 'kubernetes-api', resource: this.#resource, server: this.#server, ...fix },
      `cannot watch ${this.#resource} of the API server, retrying: ${messageOf(error)}`,
    );
  }

  recovered(): void {
    if (!this.#isFailing) return;
    this.#isFailing = false;
    this.#log.info(
      { event: 'kubernetes-api', resource: this.#resource, server: this.#server },
      `watches ${this.#resource} of the API server again`,
    );
  }
}
