/** Sockets that report which local resource was lacking when one could not be opened or used. */
import { formatEndpoint } from '../../base/address.ts';
import { lackOf, type ReportLack } from '../../base/lack.ts';
import type { Dial, Sockets, StreamEvents } from './ports.ts';

/** Wraps `sockets` and calls `report` for each one that failed for a lack. */
export function reportingLacks(sockets: Sockets, report: ReportLack): Sockets {
  const judge = (errno: string | undefined, during: string): void => {
    const lack = errno === undefined ? undefined : lackOf(errno);
    if (lack !== undefined && errno !== undefined) report(lack, errno, during);
  };
  const watched = (events: StreamEvents, during: string): StreamEvents => ({
    ...events,
    onClose: (errno) => {
      judge(errno, during);
      events.onClose(errno);
    },
  });
  return {
    datagram: (to, events) =>
      sockets.datagram(to, {
        ...events,
        onError: (failure) => {
          judge(failure.errno, `ask ${formatEndpoint(to)} over udp`);
          events.onError(failure);
        },
      }),
    stream: (to, events) =>
      sockets.stream(to, watched(events, `connect to ${formatEndpoint(to)} over tcp`)),
    secure: (to, tls): Dial => {
      const dial = sockets.secure(to, tls);
      return (events) => dial(watched(events, `connect to ${formatEndpoint(to)} over tls`));
    },
  };
}
