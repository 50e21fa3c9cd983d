/** Zones of every listener of a configuration: its own, and those of wildcards that include its address. */
import { type Endpoint, formatEndpoint } from '../../base/address.ts';
import { ConfigError, type Place } from '../../base/errors.ts';
import type { RequestMetrics } from '../../query/query.ts';
import { type Route, ZoneTable } from '../../query/routing.ts';
import type { ServerLabel } from '../../query/services/block.ts';
import { behind } from './places.ts';

/** A zone of a block on one listener. */
export interface Zone extends Pick<Route, 'handler' | 'anyClass' | 'accepts' | 'block'> {
  /** Lower case, with trailing dot. */
  readonly zone: string;
  /** '' for a block without a view, which accepts every query of its zone. */
  readonly view: string;
  readonly isMeasured: boolean;
  readonly place: Place;
}

/** Both functions return the same object for the same arguments, so that series continue over reloads. */
export interface TableParts {
  readonly label: (listener: Endpoint) => ServerLabel;
  readonly requestMetrics: (server: ServerLabel, zone: string, view: string) => RequestMetrics;
}

/**
 * Tables by listener index. Throws ConfigError if a block without `bind` and a block with it serve the same zone on one
 * port (CoreDNS: "zone overlap listener capacity").
 */
export function tablesOf(
  listeners: readonly Endpoint[],
  zones: ReadonlyMap<string, readonly Zone[]>,
  { label, requestMetrics }: TableParts,
): (ZoneTable | undefined)[] {
  const tables: (ZoneTable | undefined)[] = [];
  const zonesAt = (listener: Endpoint) => zones.get(formatEndpoint(listener)) ?? [];
  for (const listener of listeners) {
    const server = label(listener);
    const own = zonesAt(listener);
    const all = [...own];
    for (const other of behind(listener, listeners)) {
      if (other.address === '') refuseOverlap(own, zonesAt(other), listener.port);
      all.push(...zonesAt(other).filter((zone) => !all.some((before) => hides(before, zone))));
    }
    const routes = all.map(
      ({ isMeasured, view, place: _place, ...chain }): Route => ({
        ...chain,
        requestMetrics: isMeasured ? requestMetrics(server, chain.zone, view) : undefined,
      }),
    );
    const isMeasured = all.some((zone) => zone.isMeasured);
    tables[server.index] = new ZoneTable(
      routes,
      isMeasured ? requestMetrics(server, 'dropped', '') : undefined,
    );
  }
  return tables;
}

/** Whether `earlier` leaves no query for `later`. */
function hides(earlier: Zone, later: Zone): boolean {
  return earlier.zone === later.zone && earlier.view === '';
}

function refuseOverlap(bound: readonly Zone[], unbound: readonly Zone[], port: number): void {
  for (const { zone, view, place } of bound) {
    if (view !== '' || !unbound.some((other) => other.zone === zone && other.view === '')) continue;
    throw new ConfigError(
      place,
      `zone ${zone} is already served on every address of port ${port}, by a block without bind`,
    );
  }
}
