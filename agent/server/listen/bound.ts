/** One UDP and one TCP socket at the same address, and their counters. */
import { type Endpoint, type Family, familyOf, isWildcard } from '../../base/address.ts';
import type { Clock } from '../../base/clock.ts';
import { errnoOf, messageOf } from '../../base/errors.ts';
import { lackOfOpening, type ReportLack } from '../../base/lack.ts';
import { LIMITS } from '../../base/limits.ts';
import type { ServerLabel } from '../../query/services/block.ts';
import type { Limited } from '../../query/services/client-limits.ts';
import type { Logger } from '../../query/services/log.ts';
import type { Metrics } from '../../query/services/metrics.ts';
import type { TcpTimeouts } from '../../query/services/process.ts';
import type { AnswerDurations } from '../answer-durations.ts';
import type { Dispatcher } from '../dispatch.ts';
import { QueryProcessor, type QueryProcessorCounters } from '../query-processor.ts';
import type { TcpClients } from '../tcp/clients.ts';
import { TcpListener } from '../tcp/listener.ts';
import type { ListenTcp } from '../tcp/reuseport-takeover.ts';
import type { OpenUdp } from '../udp/contract.ts';
import { UdpListener } from '../udp/listener.ts';
import type { Place } from './places.ts';

/** The server of one place, with one pair of sockets or several. */
export interface Bound {
  /** Queries in progress; while draining also TCP clients that still have answers to come. */
  pending(): number;
  setTcpTimeouts(timeouts: TcpTimeouts): void;
  /** TCP clients get their outstanding answers and are then asked to leave; UDP continues until `close`. */
  drain(): void;
  /** Closes all its sockets; pending answers over TCP are lost. */
  close(): Promise<void>;
}

/** The same for every place of the process. */
export interface BoundParts {
  readonly openUdp: OpenUdp;
  readonly listenTcp: ListenTcp;
  readonly dispatcher: Dispatcher;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly tcpClients: TcpClients;
  readonly durations: AnswerDurations;
  /** Called with the resource that this node lacked if a client could not be accepted. */
  readonly reportLack?: ReportLack | undefined;
  /** Maximum bytes of a UDP response sent from this address; read before each bind. */
  readonly udpSizeBytes?: ((address: string) => number) | undefined;
  readonly label: (listener: Endpoint) => ServerLabel;
  /** A client was limited: the reason, and its `clientKey`. */
  readonly onLimited: (what: Limited, key: string) => void;
}

/** Rejects with NetworkError (phase `bind`) and leaves no socket open. */
export async function bindPlace(place: Place, parts: BoundParts): Promise<Bound> {
  const { clock, openUdp, listenTcp, metrics, dispatcher } = parts;
  const { at: endpoint } = place;
  const server = serverAt(place, parts.label(place.listener));
  const { label: listener } = server;
  const counters = countersOf(metrics, parts.durations, listener);
  // A wildcard socket also answers clients outside the node.
  const maxUdpBytes = isWildcard(endpoint.address)
    ? undefined
    : parts.udpSizeBytes?.(endpoint.address);
  const [udpProcessor, tcpProcessor] = (['udp', 'tcp'] as const).map(
    (transport) => new QueryProcessor(server, transport, dispatcher, clock, counters, maxUdpBytes),
  ) as [QueryProcessor, QueryProcessor];
  const tcp = await TcpListener.open({
    endpoint,
    listen: listenTcp,
    processor: tcpProcessor,
    clock,
    clients: parts.tcpClients,
    connections: metrics.gauge('nodens_tcp_connections', { listener }),
    rejected: metrics.counter('nodens_tcp_rejected_total', { listener }),
    onClosed: parts.onLimited,
    onCrowded: (key) => parts.onLimited('connections', key),
    onError: (error) => acceptFailed(parts, listener, error),
  });
  const flooded = metrics.counter('nodens_packets_dropped_total', { listener, reason: 'flood' });
  // UDP last: with SO_REUSEADDR its bind takes the address over, so no step after it may fail.
  const udp = await openUdp({
    endpoint,
    receiveBufferBytes: LIMITS.udpReceiveBufferBytes.default,
    sink: new UdpListener(udpProcessor, clock),
    receiveDrops: metrics.counter('nodens_udp_receive_drops_total', { listener }),
    onFlood: (client, count) => {
      flooded.value += count;
      parts.onLimited('datagrams', client.key);
    },
    onError: (error) => udpFailed(parts, listener, error),
  }).catch(async (error: unknown) => {
    await tcp.close();
    throw error;
  });
  const { scheduler } = parts.tcpClients;
  scheduler.remember(udp);
  return {
    pending: () => udpProcessor.pending + tcpProcessor.pending + tcp.unfinishedConnections,
    setTcpTimeouts: (timeouts) => {
      tcp.timeouts = timeouts;
    },
    drain: () => tcp.drain(),
    close: async () => {
      scheduler.forget(udp);
      await Promise.all([udp.close(), tcp.close()]);
    },
  };
}

/** The listener's label, with the address or family that the label does not contain. */
function serverAt({ at, listener }: Place, server: ServerLabel): ServerLabel {
  if (at.address === listener.address && !isWildcard(at.address)) return server;
  const family = familyOf(at.address) as Family;
  return isWildcard(at.address)
    ? { ...server, family }
    : { ...server, family, address: at.address };
}

function countersOf(
  metrics: Metrics,
  durations: AnswerDurations,
  listener: string,
): QueryProcessorCounters {
  const dropped = (reason: string) =>
    metrics.counter('nodens_packets_dropped_total', { listener, reason });
  const malformed = (verdict: string) =>
    metrics.counter('nodens_malformed_queries_total', { listener, verdict });
  return {
    tooShort: dropped('short'),
    notAQuery: dropped('response'),
    formErr: malformed('formerr'),
    notImp: malformed('notimp'),
    badVers: malformed('badvers'),
    durations,
  };
}

function acceptFailed(
  { metrics, log, reportLack }: BoundParts,
  listener: string,
  error: Error,
): void {
  metrics.counter('nodens_tcp_rejected_total', { listener }).value++;
  const errno = errnoOf(error);
  const lack = lackOfOpening(errno);
  if (lack !== undefined) reportLack?.(lack, errno, `accept a TCP client on ${listener}`);
  log.warn({ event: 'tcp-accept', listener }, `cannot accept a TCP client: ${messageOf(error)}`);
}

function udpFailed({ metrics, log }: BoundParts, listener: string, error: Error): void {
  metrics.counter('nodens_packets_dropped_total', { listener, reason: 'send' }).value++;
  log.debug({ listener }, `cannot send a response: ${messageOf(error)}`);
}
