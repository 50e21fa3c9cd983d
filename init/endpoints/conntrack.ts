/**
 * Removes conntrack entries of flows to endpoints that are gone: otherwise a UDP client's socket would reach that address
 * for as long as it sends queries.
 */
import { familyOf } from '../../agent/base/address.ts';
import { messageOf } from '../../agent/base/errors.ts';
import type { Log } from '../log.ts';
import { CommandError, type Run } from '../node/exec.ts';
import type { EndpointDnat } from '../plan/fallback.ts';
import { type Endpoints, TRANSPORTS } from './set.ts';

/** The local IP and port that clients ask, as conntrack has them in a flow's original direction. */
export type FallbackAddress = Pick<EndpointDnat, 'family' | 'from' | 'port'>;

/** For each of `fronts`: removes the flows to endpoints that are `gone`. Logs once why it cannot; never rejects. */
export function makeFlowRemover(
  run: Run,
  log: Log,
  fronts: readonly FallbackAddress[],
): (gone: Endpoints) => Promise<void> {
  let lastLogged = '';
  const end = async (filter: readonly string[]): Promise<void> => {
    try {
      await run('conntrack', ['-D', ...filter]);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      // No entries: not a failure.
      if (error.stderr.includes('0 flow entries')) return;
      const reason = error.exitCode === undefined ? 'conntrack does not run' : messageOf(error);
      if (reason !== lastLogged)
        log.warn('flows to kube-dns endpoints that are gone stay until they time out', {
          event: 'endpoint-flows',
          reason,
        });
      lastLogged = reason;
    }
  };
  return async (gone) => {
    for (const filter of fronts.flatMap((front) => filtersOf(front, gone))) await end(filter);
  };
}

function filtersOf({ family, from, port }: FallbackAddress, gone: Endpoints): string[][] {
  const flow = (protocol: string, to: string): string[] => [
    ...['-f', `ipv${family}`, '-p', protocol],
    ...['--orig-dst', from, '--orig-port-dst', String(port), '--reply-src', to],
  ];
  const ended = TRANSPORTS.flatMap((protocol) =>
    gone[protocol]
      .filter(({ address }) => familyOf(address) === family)
      .map((to) => [...flow(protocol, to.address), '--reply-port-src', String(to.port)]),
  );
  // A client that asked while there was no rule has an entry without translation.
  return [...ended, flow('udp', from)];
}
