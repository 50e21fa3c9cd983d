/** What a start says: a banner for people, a log line for machines. */
import { formatEndpoint } from '../base/address.ts';
import type { Assembly } from '../daemon/assemble.ts';
import type { Daemon } from '../daemon/daemon.ts';
import { VERSION } from './version.ts';

const MEBIBYTE = 2 ** 20;

/** A few lines: what listens, where misses go, a command to try. */
export function banner(daemon: Daemon, assembly: Assembly): string {
  const { listeners, budget, upstreams } = daemon.foundation;
  const first = listeners.endpoints[0];
  const targets = [...new Set(upstreams.summary().map((upstream) => upstream.to))];
  return [
    `nodens ${VERSION}`,
    `  answers on   ${listeners.endpoints.map(formatEndpoint).join(', ')} (UDP and TCP)`,
    `  upstreams    ${targets.length === 0 ? 'none' : targets.join(', ')}`,
    `  cache        ${Math.round(budget.bytes / MEBIBYTE)} MiB (${budget.reason})`,
    `  pages        ${pages(assembly).join(' ') || 'none'}`,
    ...(first === undefined
      ? []
      : ['', `Try:  dig @${first.address} -p ${first.port} example.com`]),
    'Ctrl-C stops it.',
    '',
    '',
  ].join('\n');
}

/** The same in one structured line. */
export function logServing(daemon: Daemon, assembly: Assembly): void {
  const { listeners, budget, upstreams, log } = daemon.foundation;
  log.info(
    {
      version: VERSION,
      listeners: listeners.endpoints.map(formatEndpoint),
      upstreams: upstreams.summary().map((upstream) => upstream.to),
      cacheBytes: budget.bytes,
      cacheBytesFrom: budget.reason,
      pages: pages(assembly),
    },
    'serving',
  );
}

function pages(assembly: Assembly): string[] {
  const urls = assembly.adminRoutes.map(({ address, path }) => `http://${address}${path}`);
  return [...new Set(urls)].sort();
}
