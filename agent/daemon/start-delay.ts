/** What a start waits for, how long, and how it is logged. */
import { errnoOf, messageOf, NetworkError } from '../base/errors.ts';
import { lackOfOpening, UnreadError } from '../base/lack.ts';
import type { Logger, ProblemFields } from '../query/services/log.ts';

/** How long a start without init waits for an address or a port. */
const START_MS = 60_000;

/**
 * Whether the cause that stopped a start `waitedMs` after its begin may end soon, because another process works on it.
 * A new container would not get an address, or a port on it, any sooner; with init, kube-dns answers in the meantime.
 */
export function isWorthWaiting(error: unknown, waitedMs: number, isBehindInit: boolean): boolean {
  const errno = errnoOf((error as { cause?: unknown } | null)?.cause);
  const isOthers = error instanceof NetworkError && ['EADDRNOTAVAIL', 'EADDRINUSE'].includes(errno);
  const isLack = error instanceof UnreadError || lackOfOpening(errno) !== undefined;
  return (isOthers || isLack) && (isBehindInit || waitedMs < START_MS);
}

/** How long init may take to add an address to the node before that is a warning. */
export const ADDRESS_MS = 30_000;

/**
 * Logs what a start waits for, at each attempt. A missing address is normal in every start: logged once at level info,
 * and as a warning only if it lasts.
 */
export class DelayReport {
  readonly #log: Logger;
  readonly #isBehindInit: boolean;
  #lastLogged = '';

  constructor(log: Logger, isBehindInit: boolean) {
    this.#log = log;
    this.#isBehindInit = isBehindInit;
  }

  log(error: unknown, waitedMs: number): void {
    const message = `startup: waiting, will retry: ${messageOf(error)}`;
    const fields = delayFields(error);
    const isUsual = this.#isBehindInit && fields.errno === 'EADDRNOTAVAIL';
    if (!isUsual || waitedMs >= ADDRESS_MS) this.#log.warn(fields, message);
    else if (message !== this.#lastLogged) this.#log.info(fields, message);
    this.#lastLogged = message;
  }
}

/** Fields of the log line. */
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
