/**
 * Series as the text that Prometheus scrapes, written by prom-client, which also knows the process (process_*,
 * nodejs_*). It is loaded at the first scrape: a start does not pay for it, and a resolver nobody scrapes never does.
 */
import type { Metric, Registry } from 'prom-client';
import type { MetricsText } from '../query/services.ts';
import { olderNames } from './older-names.ts';
import type { Family, Source } from './samples.ts';

/**
 * What is left out of the library's process metrics: lists of handles, which are costly to make and of names that no
 * linter accepts, and the event loop monitor, which wakes the process 100 times a second
 * (`coredns_health_request_duration_seconds` tells the same).
 */
const LEFT_OUT = /^nodejs_(active|eventloop)_/;
/** The monitor cannot be switched off, but it can be made to sleep. */
const MONITOR_INTERVAL_MS = 3_600_000;

type PromClient = typeof import('prom-client');

/** Renders all `sources`, and what they count under older names, in the order of names behind the process's metrics. */
export function exposition(sources: readonly Source[]): () => Promise<MetricsText> {
  let loading: Promise<{ client: PromClient; own: Registry }> | undefined;
  return async () => {
    loading ??= load();
    const { client, own } = await loading;
    const registry = client.Registry.merge([own]);
    const families = sources.flatMap((source) => [...source.families()]);
    families.push(...olderNames(families));
    families.sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const family of families) registry.registerMetric(asMetric(family));
    return { contentType: registry.contentType, body: await registry.metrics() };
  };
}

async function load(): Promise<{ client: PromClient; own: Registry }> {
  const client = (await import('prom-client')).default;
  const own = new client.Registry();
  client.collectDefaultMetrics({
    register: own,
    eventLoopMonitoringPrecision: MONITOR_INTERVAL_MS,
  });
  for (const { name } of own.getMetricsAsArray()) {
    if (LEFT_OUT.test(name)) own.removeSingleMetric(name);
  }
  return { client, own };
}

/** A registry asks a metric for its name and for `get()`, and nothing else. */
function asMetric(family: Family): Metric {
  const { name } = family;
  return { name, get: () => Promise.resolve(family) } as unknown as Metric;
}
