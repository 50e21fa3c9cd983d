/** What a start says: a banner for people, a log line for machines. */
import { formatEndpoint } from '../base/address.ts';
import type { Daemon } from '../daemon/daemon.ts';
import { VERSION } from './version.ts';

const MEBIBYTE = 2 ** 20;

/** A few lines: what listens, where misses go, a command to try. */
export function banner(daemon: Daemon): string {
  const { listeners, budget, upstreams, admin } = daemon.foundation;
  const first = listeners.endpoints[0];
  const targets = [...new Set(upstreams.summary().map((upstream) => upstream.to))];
  return [
    `nodens ${VERSION}`,
    `  answers on   ${listeners.endpoints.map(formatEndpoint).join(', ')} (UDP and TCP)`,
    `  upstreams    ${targets.length === 0 ? 'none' : targets.join(', ')}`,
    `  cache        ${Math.round(budget.bytes / MEBIBYTE)} MiB (${budget.reason})`,
    `  pages        ${admin.urls().join(' ') || 'none'}`,
    ...(first === undefined
      ? []
      : ['', `Try:  dig @${first.address} -p ${first.port} example.com`]),
    'Ctrl-C stops it.',
    '',
    '',
  ].join('\n');
}

/** The same in one structured line. */
export function logServing(daemon: Daemon): void {
  const { listeners, budget, upstreams, admin, log } = daemon.foundation;
  log.info(
    {
      version: VERSION,
      listeners: listeners.endpoints.map(formatEndpoint),
      upstreams: upstreams.summary().map((upstream) => upstream.to),
      cacheBytes: budget.bytes,
      cacheBytesFrom: budget.reason,
      pages: admin.urls(),
    },
    'serving',
  );
}
