/**
 * Ends what connection tracking remembers of the way to endpoints that are gone: a UDP client's socket would be led
 * there for as long as it goes on asking.
 */
import { familyOf } from '../../agent/base/address.ts';
import { messageOf } from '../../agent/base/errors.ts';
import type { Log } from '../log.ts';
import { CommandError, type Run } from '../node/exec.ts';
import type { EndpointDnat } from '../plan/fallback.ts';
import { type Endpoints, TRANSPORTS } from './set.ts';

export type FallbackAddress = Pick<EndpointDnat, 'family' | 'from' | 'port'>;

/** For each of `fronts`: ends the flows to endpoints that are `gone`. Says once why it cannot; never rejects. */
export function makeFlowRemover(
  run: Run,
  log: Log,
  fronts: readonly FallbackAddress[],
): (gone: Endpoints) => Promise<void> {
  let said = '';
  const end = async (filter: readonly string[]): Promise<void> => {
    try {
      await run('conntrack', ['-D', ...filter]);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      // It is no success to have found nothing.
      if (error.stderr.includes('0 flow entries')) return;
      const reason = error.exitCode === undefined ? 'conntrack does not run' : messageOf(error);
      if (reason !== said)
        log.warn('flows to kube-dns endpoints that are gone stay until they time out', {
          event: 'endpoint-flows',
          reason,
        });
      said = reason;
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
  // Whoever asked while there was no rule is remembered as led nowhere.
  return [...ended, flow('udp', from)];
}
