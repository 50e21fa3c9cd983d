/**
 * `health [ADDR] { lameduck DUR }`: an HTTP endpoint that shows that the process is alive, and a check of its delay.
 */
import type { Clock, Timer } from '../../base/clock.ts';
import {
  durationArg,
  listenArg,
  maxArgs,
  oneArg,
  readOptions,
} from '../../config/corefile/args.ts';
import type { Block, Directive } from '../../config/corefile/types.ts';
import type { Plugin } from '../../query/plugin.ts';
import type { AdminResponse } from '../../query/services/admin.ts';
import type { Metrics } from '../../query/services/metrics.ts';
import type { Services } from '../../query/services/services.ts';

const DEFAULT_ADDRESS = ':8080';
const CHECK_INTERVAL_MS = 1_000;
/** A check as late as this counts as failed: the timeout of CoreDNS's own request. */
const FAILED_AFTER_MS = 3_000;

const OK: AdminResponse = { status: 200, contentType: 'text/plain; charset=utf-8', body: 'OK' };

/** The self-check runs from `start` to `stop`. Throws ConfigError for an invalid address. */
export function setup(directive: Directive, _block: Block, services: Services): Plugin {
  let address = DEFAULT_ADDRESS;
  // The last value of several uses is effective, as in CoreDNS.
  for (const line of directive.uses) {
    const [token] = maxArgs(line, 1);
    if (token !== undefined) listenArg(token);
    address = token?.text ?? address;
    readOptions(line, {
      lameduck: (option) => services.process.lameduck(durationArg(oneArg(option))),
    });
  }
  services.admin.add(address, '/health', () => OK);
  return { name: 'health', ...selfCheck(services.clock, services.metrics) };
}

/**
 * Measures once a second how late a timer fires. CoreDNS sends itself an HTTP request; in a process with one thread,
 * such a request waits for the event loop just as long as a late timer.
 */
function selfCheck(clock: Clock, metrics: Metrics): Required<Pick<Plugin, 'start' | 'stop'>> {
  const durations = metrics.histogram('coredns_health_request_duration_seconds');
  const failures = metrics.counter('coredns_health_request_failures_total');
  let timer: Timer | undefined;
  const schedule = (): void => {
    const dueMs = clock.nowMs() + CHECK_INTERVAL_MS;
    timer = clock.after(CHECK_INTERVAL_MS, () => {
      const lateMs = Math.max(0, clock.nowMs() - dueMs);
      durations.observe(lateMs / 1_000);
      if (lateMs >= FAILED_AFTER_MS) failures.value++;
      schedule();
    });
  };
  return { start: schedule, stop: () => timer?.cancel() };
}
