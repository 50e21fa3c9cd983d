/** `health [ADDR] { lameduck DUR }`: a page that says the process is alive, and a check that it runs on time. */
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
/** A check as late as this counts as failed: the time CoreDNS's own request would have been given. */
const FAILED_AFTER_MS = 3_000;

const OK: AdminResponse = { status: 200, contentType: 'text/plain; charset=utf-8', body: 'OK' };

export function setup(directive: Directive, _block: Block, services: Services): Plugin {
  let address = DEFAULT_ADDRESS;
  // Of several the last word counts, as in CoreDNS.
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
 * Once a second, how late a timer runs. CoreDNS sends itself an HTTP request; what such a request waits for in a
 * process with one thread is the event loop, and a timer that should have fired meanwhile has waited just as long.
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
