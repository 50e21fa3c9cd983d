/** Sockets that report which local resource was lacking when one could not be opened or used. */
import { formatEndpoint } from '../../base/address.ts';
import { lackOf, lacksSource, type ReportLack } from '../../base/lack.ts';
import type { Destination, Dial, Sockets, StreamEvents } from './ports.ts';

/** Wraps `sockets` and calls `report` for each one that failed for a lack. */
export function reportingLacks(sockets: Sockets, report: ReportLack): Sockets {
  const judge = (to: Destination, during: string, errno: string | undefined): void => {
    if (errno === undefined) return;
    if (lacksSource(errno, to.from)) {
      report('address', errno, `${during} from ${to.from}`);
      return;
    }
    const lack = lackOf(errno);
    if (lack !== undefined) report(lack, errno, during);
  };
  const watched = (to: Destination, over: string, events: StreamEvents): StreamEvents => ({
    ...events,
    onClose: (errno) => {
      judge(to, `connect to ${formatEndpoint(to)} over ${over}`, errno);
      events.onClose(errno);
    },
  });
  return {
    datagram: (to, events) =>
      sockets.datagram(to, {
        ...events,
        onError: (failure) => {
          judge(to, `ask ${formatEndpoint(to)} over udp`, failure.errno);
          events.onError(failure);
        },
      }),
    stream: (to, events) => sockets.stream(to, watched(to, 'tcp', events)),
    secure: (to, tls): Dial => {
      const dial = sockets.secure(to, tls);
      const over = tls.https === undefined ? 'tls' : 'https';
      return (events) => dial(watched(to, over, events));
    },
  };
}
