/** Implements this room's ports with node:dgram, node:net and node:tls. */
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { familyOf } from '../../base/address.ts';
import { errnoOf } from '../../base/errors.ts';
import type {
  DatagramEvents,
  DatagramPort,
  Destination,
  Sockets,
  StreamEvents,
  StreamPort,
} from './ports.ts';
import { portOf } from './stream-port.ts';
import { secure } from './tls-dial.ts';

/** Node.js's own sockets. If the addon is loaded, the daemon replaces `datagram`. */
export const nodeSockets: Sockets = { datagram, stream, secure };

/**
 * A connected UDP socket on a port that the kernel chooses: the kernel drops other senders' packets and reports ICMP
 * errors.
 */
function datagram(to: Destination, events: DatagramEvents): DatagramPort {
  const socket = createSocket(familyOf(to.address) === 6 ? 'udp6' : 'udp4');
  let waiting: Buffer[] | undefined = [];
  let isClosed = false;
  const close = (): void => {
    if (isClosed) return;
    isClosed = true;
    waiting = undefined;
    socket.close();
  };
  socket.unref();
  socket.on('message', (message, from) => {
    if (!isClosed) events.onMessage(message, from.address, from.port);
  });
  socket.on('error', (error) => {
    if (isClosed) return;
    events.onError({ phase: waiting === undefined ? 'wait' : 'connect', errno: errnoOf(error) });
  });
  socket.on('connect', () => {
    const early = waiting ?? [];
    waiting = undefined;
    for (const message of early) socket.send(message);
  });
  const connectIt = (): void => {
    if (!isClosed) socket.connect(to.port, to.address);
  };
  if (to.from === undefined) connectIt();
  else socket.bind({ address: to.from, exclusive: true }, connectIt);
  return {
    send(message) {
      if (isClosed) return;
      if (waiting === undefined) socket.send(message);
      else waiting.push(message);
    },
    close,
  };
}

function stream(to: Destination, events: StreamEvents): StreamPort {
  const socket = connect({
    host: to.address,
    port: to.port,
    noDelay: true,
    ...(to.from !== undefined && { localAddress: to.from }),
  });
  socket.on('connect', () => events.onOpen());
  return portOf(socket, events);
}
