/** Start messages: a banner for people, a log line for machines. */
import { type Endpoint, formatEndpoint } from '../base/address.ts';
import type { Daemon } from '../daemon/daemon.ts';
import type { ProcessServices } from '../daemon/process-services.ts';
import { isEveryAddress } from '../server/listen/places.ts';
import { VERSION } from './version.ts';

const MEBIBYTE = 2 ** 20;

/** A few lines: listeners, upstreams, a command to try. */
export function banner({ processServices }: Daemon): string {
  const { listeners, budget, admin } = processServices;
  const first = listeners.endpoints[0];
  const targets = targetsOf(processServices);
  return [
    `nodens ${VERSION}`,
    `  answers on   ${listeners.endpoints.map(placeText).join(', ')} (UDP and TCP)`,
    `  upstreams    ${targets.length === 0 ? 'none' : targets.join(', ')}`,
    `  cache        ${Math.round(budget.bytes / MEBIBYTE)} MiB (${budget.reason})`,
    `  pages        ${admin.served.join(' ') || 'none'}`,
    ...(first === undefined
      ? []
      : ['', `Try:  dig @${addressOf(first)} -p ${first.port} example.com`]),
    'Ctrl-C stops it.',
    '',
    '',
  ].join('\n');
}

function placeText(listener: Endpoint): string {
  const text = formatEndpoint(listener);
  return isEveryAddress(listener.address) ? `${text} on every address` : text;
}

/** An address that a command on this machine can ask. */
function addressOf({ address }: Endpoint): string {
  if (!isEveryAddress(address)) return address;
  return address === '::' ? '::1' : '127.0.0.1';
}

/** The same as one structured line. */
export function logServing({ processServices }: Daemon): void {
  const { listeners, budget, admin, log } = processServices;
  log.info(
    {
      version: VERSION,
      listeners: listeners.endpoints.map(formatEndpoint),
      upstreams: targetsOf(processServices),
      cacheBytes: budget.bytes,
      cacheBytesFrom: budget.reason,
      pages: admin.served,
    },
    'serving',
  );
}

/** Upstreams of misses, each once even if blocks share it. */
function targetsOf({ upstreams }: ProcessServices): string[] {
  return [...new Set(upstreams.summary().map(({ to }) => to))];
}
