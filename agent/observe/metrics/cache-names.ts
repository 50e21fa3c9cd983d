/** Series of the cache and its snapshot: a part of the table in `names.ts`. */
import { counter, gauge, type SeriesSpec } from './series-spec.ts';

const BLOCK = ['server', 'zones', 'view'];
const BLOCK_BY_TYPE = ['server', 'type', 'zones', 'view'];

/** Part of `COUNTED_SERIES`. */
export const CACHE_SERIES = {
  coredns_cache_entries: gauge('Entries in the cache.', BLOCK_BY_TYPE),
  coredns_cache_hits_total: counter('Queries answered from the cache.', BLOCK_BY_TYPE),
  coredns_cache_misses_total: counter('Queries that the cache could not answer.', BLOCK),
  coredns_cache_requests_total: counter('Queries that reached the cache.', BLOCK),
  coredns_cache_prefetch_total: counter(
    'Entries that the cache refreshed in the background.',
    BLOCK,
  ),
  coredns_cache_drops_total: counter(
    'Replies that the cache did not store because their question was another.',
    BLOCK,
  ),
  coredns_cache_served_stale_total: counter('Queries answered from an expired entry.', BLOCK),
  coredns_cache_evictions_total: counter('Entries removed to make room for others.', BLOCK_BY_TYPE),
  nodens_cache_stale_served_total: counter(
    'Stale answers, by the reason why there was no fresh one.',
    ['server', 'reason'],
  ),
  nodens_cache_coalesced_total: counter(
    'Queries that waited for an upstream query already in flight.',
    ['server'],
    { startsAtZero: true },
  ),
  nodens_cache_waiters_rejected_total: counter(
    'Queries refused because too many queries waited for upstream queries in flight.',
    ['server'],
    { startsAtZero: true },
  ),
  nodens_cache_refreshes_deferred_total: counter(
    'Background refreshes deferred because too many started at once.',
    ['server'],
  ),
  nodens_cache_last_known_good_total: counter(
    'Denials by an upstream that last_known_good answered with the last good answer.',
    ['server', 'reason'],
    { startsAtZero: true },
  ),
  nodens_cache_nxdomain_cut_total: counter(
    'Queries answered NXDOMAIN because a parent name does not exist (nxdomain_cut, nxdomain_probe).',
    ['server'],
  ),
  nodens_cache_denial_probes_total: counter(
    'Questions of the agent for a parent name, to learn whether it exists (nxdomain_probe).',
    ['server', 'result'],
  ),
  nodens_snapshot_entries: gauge('Entries in the last snapshot written.'),
  nodens_snapshot_bytes: gauge('Size of the last snapshot written, in bytes.'),
  nodens_snapshot_age_seconds: gauge(
    'Time since the last snapshot was written or read, in seconds.',
  ),
  nodens_snapshot_restored_entries: gauge('Entries read from the snapshot at the start.'),
  nodens_snapshot_errors_total: counter(
    'Snapshots that could not be written or read.',
    ['reason'],
    {
      preset: ['write', 'read', 'damaged', 'version', 'untrusted'].map((reason) => ({ reason })),
    },
  ),
  nodens_cache_bytes: gauge('Memory that the entries of a store take, in bytes.', ['store']),
  nodens_cache_limit_bytes: gauge(
    'Limit of nodens_cache_bytes, from the memory limit or -memory.',
    ['store'],
  ),
  nodens_cache_entries_swept_total: counter('Entries removed because they were past their use.', [
    'store',
  ]),
  nodens_cache_flushed_entries_total: counter(
    'Entries that `nodens cache flush` removed from the cache.',
  ),
} as const satisfies Record<string, SeriesSpec>;
