/** Reports a local lack of resources: a counter, and an error in the log at most once a minute for each. */
import type { Clock } from '../../base/clock.ts';
import { LACKS, type Lack, type ReportLack } from '../../base/lack.ts';
import type { Logger } from '../../query/services/log.ts';
import type { Metrics } from '../../query/services/metrics.ts';

const SILENT_MS = 60_000;

const NOUNS: Readonly<Record<Lack, string>> = {
  descriptors: 'descriptors',
  memory: 'memory',
  ports: 'ports',
  address: 'the address to send from',
};

const REMEDIES: Readonly<Record<Lack, string>> = {
  descriptors:
    'raise the limit of open files of the container or service (ulimit -n, LimitNOFILE), or of the node ' +
    '(fs.file-max); nodens_client_limited_total names clients that have many connections',
  memory:
    "look at the node's free memory and at net.core.wmem_max, net.ipv4.udp_mem and net.ipv4.tcp_mem",
  ports:
    'widen net.ipv4.ip_local_port_range on the node, or find the process that uses its ports (ss -s); ' +
    'for an IPv6 upstream the node needs an IPv6 address',
  address:
    'give this node the address that `source_address` of `forward` names, or correct it in the Corefile',
};

/**
 * The process's `ReportLack`: increments `nodens_local_lack_total` at each call, and logs each kind once a minute at
 * most.
 */
export function lackReporter(metrics: Metrics, log: Logger, clock: Clock): ReportLack {
  const counters = Object.fromEntries(
    LACKS.map((what) => [what, metrics.counter('nodens_local_lack_total', { what })]),
  ) as Record<Lack, { value: number }>;
  const toldMs = new Map<Lack, number>();
  return (what, errno, during) => {
    counters[what].value++;
    const nowMs = clock.nowMs();
    if (nowMs - (toldMs.get(what) ?? Number.NEGATIVE_INFINITY) < SILENT_MS) return;
    toldMs.set(what, nowMs);
    const fields = { event: 'local-lack', what, errno, remedy: REMEDIES[what] } as const;
    log.error(fields, `this node lacks ${NOUNS[what]} (${errno}): the agent cannot ${during}`);
  };
}
