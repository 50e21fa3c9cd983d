/** Series of one (block, listener), resolved once; a query only increments plain numbers. */
import type { Counter, Metrics } from '../query/services/metrics.ts';
import type { DenialReason } from './policy/denial-bursts.ts';
import type { StaleReason } from './policy/stale.ts';
import type { ProbeResult } from './probe/result.ts';
import type { EntryKind } from './store/entry.ts';

/** Value of the label `type`: CoreDNS counts stored failures as denials. */
export type SeriesType = 'success' | 'denial';

/** Labels of CoreDNS's cache series. */
export interface BlockLabels {
  readonly server: string;
  readonly zones: string;
  readonly view: string;
}

/** CoreDNS's series up to `servedStale`, then nodens's own. */
export interface Counters {
  readonly requests: Counter;
  readonly misses: Counter;
  readonly hits: Readonly<Record<EntryKind, Counter>>;
  readonly prefetch: Counter;
  readonly drops: Counter;
  readonly servedStale: Counter;
  readonly stale: Readonly<Record<StaleReason, Counter>>;
  readonly lastKnownGood: Readonly<Record<DenialReason, Counter>>;
  readonly cut: Counter;
  readonly probes: Readonly<Record<ProbeResult, Counter>>;
  readonly coalesced: Counter;
  readonly rejected: Counter;
  readonly deferred: Counter;
}

/**
 * nodens's own series have only the label `server`: blocks of one listener share them. `keepsGood`: whether the block has
 * `last_known_good`; without it there are no series of that.
 */
export function countersFor(metrics: Metrics, labels: BlockLabels, keepsGood: boolean): Counters {
  const { server } = labels;
  const hits = (type: SeriesType): Counter =>
    metrics.counter('coredns_cache_hits_total', { ...labels, type });
  const stale = (reason: StaleReason): Counter =>
    metrics.counter('nodens_cache_stale_served_total', { server, reason });
  const kept = (reason: DenialReason): Counter =>
    keepsGood
      ? metrics.counter('nodens_cache_last_known_good_total', { server, reason })
      : { value: 0 };
  const probes = (result: ProbeResult): Counter =>
    metrics.counter('nodens_cache_denial_probes_total', { server, result });
  const denials = hits('denial');
  return {
    requests: metrics.counter('coredns_cache_requests_total', { ...labels }),
    misses: metrics.counter('coredns_cache_misses_total', { ...labels }),
    hits: { positive: hits('success'), negative: denials, failure: denials },
    prefetch: metrics.counter('coredns_cache_prefetch_total', { ...labels }),
    drops: metrics.counter('coredns_cache_drops_total', { ...labels }),
    servedStale: metrics.counter('coredns_cache_served_stale_total', { ...labels }),
    stale: {
      immediate: stale('immediate'),
      budget: stale('budget'),
      recheck: stale('recheck'),
      failure: stale('failure'),
    },
    lastKnownGood: { nxdomain: kept('nxdomain'), nodata: kept('nodata'), empty: kept('empty') },
    cut: metrics.counter('nodens_cache_nxdomain_cut_total', { server }),
    probes: {
      denied: probes('denied'),
      exists: probes('exists'),
      answers_below: probes('answers_below'),
      failed: probes('failed'),
      late: probes('late'),
      deferred: probes('deferred'),
    },
    coalesced: metrics.counter('nodens_cache_coalesced_total', { server }),
    rejected: metrics.counter('nodens_cache_waiters_rejected_total', { server }),
    deferred: metrics.counter('nodens_cache_refreshes_deferred_total', { server }),
  };
}
