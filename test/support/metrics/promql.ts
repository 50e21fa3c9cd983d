/** Series and labels in PromQL, held against the page of metrics. */
import { readFileSync } from 'node:fs';

const PAGE = new URL('../../../docs/reference/metrics.md', import.meta.url);

/** Labels that Prometheus or a storage of several clusters adds at the scrape. */
const ADDED = new Set(['cluster', 'instance', 'job', 'namespace', 'node', 'pod']);

/** Series of other exporters and of every process, that rules and panels may use. */
const FOREIGN = new Set([
  'up',
  'ALERTS',
  'process_resident_memory_bytes',
  'process_cpu_seconds_total',
  'process_open_fds',
  'process_start_time_seconds',
  'kube_daemonset_status_number_unavailable',
  'kube_pod_container_status_restarts_total',
  'kube_pod_container_status_last_terminated_reason',
  'kube_pod_container_resource_limits',
]);

/** A series as an expression asks for it: `labels` are those of its selector. */
export interface Asked {
  readonly name: string;
  readonly labels: readonly string[];
}

/** Series of `docs/reference/metrics.md` with their labels, older names left out; a histogram is its three series. */
export function knownSeries(): ReadonlyMap<string, readonly string[]> {
  const [text = ''] = readFileSync(PAGE, 'utf8').split('## Older names');
  const rows = text.matchAll(/^\| `(\w+)` \| (counter|gauge|histogram) \| ([^|]*)\|/gm);
  const known = new Map<string, readonly string[]>();
  for (const [, name = '', type, cell = ''] of rows) {
    const labels = Array.from(cell.matchAll(/`(\w+)`/g), ([, label]) => label as string);
    if (type !== 'histogram') known.set(name, labels);
    else {
      known.set(`${name}_bucket`, [...labels, 'le']);
      for (const part of ['sum', 'count']) known.set(`${name}_${part}`, labels);
    }
  }
  return known;
}

/** Names are found by their selector or range, or by a prefix of ours; functions and keywords are neither. */
export function seriesIn(expr: string): Asked[] {
  const bare = expr.replaceAll(/"[^"]*"/g, '""');
  const named = /(?<![\w:$])([a-zA-Z_]\w*)(?![\w:(])(?:\s*\{([^}]*)\})?/g;
  return Array.from(bare.matchAll(named)).flatMap(([, name = '', selector = '']) =>
    /^(nodens|coredns|process|kube)_/.test(name) || FOREIGN.has(name)
      ? [{ name, labels: Array.from(selector.matchAll(/(\w+)\s*[=!]/g), ([, l]) => l as string) }]
      : [],
  );
}

/** What `expr` asks for that does not exist, one line each. */
export function unknownIn(expr: string, known = knownSeries()): string[] {
  return seriesIn(expr).flatMap(({ name, labels }) => {
    if (FOREIGN.has(name)) return [];
    const own = known.get(name);
    if (own === undefined) return [`${name} is on no page`];
    return labels
      .filter((label) => !own.includes(label) && !ADDED.has(label))
      .map((label) => `${name} has no label ${label}`);
  });
}
