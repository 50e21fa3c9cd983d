/** What a start waits for, how long, and what it says meanwhile. */
import { errnoOf, messageOf, NetworkError } from '../base/errors.ts';
import { lackOfOpening, UnreadError } from '../base/lack.ts';
import type { Logger, ProblemFields } from '../query/services/log.ts';

/** How long a start without init waits for an address or a port. */
const START_MS = 60_000;

/**
 * Whether what stopped a start `waitedMs` after its begin may be over soon: another process is at work on it. An
 * address, or a port on it, would not be free for a new container either, and behind init kube-dns serves as long as it
 * takes.
 */
export function isWorthWaiting(error: unknown, waitedMs: number, isBehindInit: boolean): boolean {
  const errno = errnoOf((error as { cause?: unknown } | null)?.cause);
  const isOthers = error instanceof NetworkError && ['EADDRNOTAVAIL', 'EADDRINUSE'].includes(errno);
  const isLack = error instanceof UnreadError || lackOfOpening(errno) !== undefined;
  return (isOthers || isLack) && (isBehindInit || waitedMs < START_MS);
}

/** How long init may take to put an address on the node before that is worth a warning. */
export const ADDRESS_MS = 30_000;

/**
 * Tells what a start waits for, at each attempt. That init has not put an address on the node yet is in every start: once
 * at level info, and a warning only when it lasts.
 */
export class DelayReport {
  readonly #log: Logger;
  readonly #isBehindInit: boolean;
  #told = '';

  constructor(log: Logger, isBehindInit: boolean) {
    this.#log = log;
    this.#isBehindInit = isBehindInit;
  }

  tell(error: unknown, waitedMs: number): void {
    const message = `startup: waiting, will retry: ${messageOf(error)}`;
    const fields = delayFields(error);
    const isUsual = this.#isBehindInit && fields.errno === 'EADDRNOTAVAIL';
    if (!isUsual || waitedMs >= ADDRESS_MS) this.#log.warn(fields, message);
    else if (message !== this.#told) this.#log.info(fields, message);
    this.#told = message;
  }
}

/** Fields of the line that tells of it. */
export function delayFields(error: unknown): ProblemFields {
  const errno = error instanceof NetworkError ? error.errno : undefined;
  if (errno !== 'EADDRINUSE') return { event: 'start', errno };
  return { event: 'port-taken', errno, remedy: portRemedy(messageOf(error)) };
}

/** `message` names the port, as in `cannot bind 169.254.20.10:53/udp`. */
function portRemedy(message: string): string {
  const port = /:(\d+)\/(?:udp|tcp)/.exec(message)?.[1] ?? '53';
  return (
    `another process has this port, perhaps on all addresses: ss -lntup 'sport = :${port}' on the node names it; ` +
    'let it listen on its own addresses only (dnsmasq bind-dynamic, unbound interface:, BIND listen-on)'
  );
}
