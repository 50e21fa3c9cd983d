/** The ports of this room on node:dgram and node:net. */
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { type Endpoint, familyOf } from '../base/address.ts';
import { errnoOf } from '../base/errors.ts';
import type { DatagramEvents, DatagramPort, Sockets, StreamEvents, StreamPort } from './ports.ts';

export const nodeSockets: Sockets = { datagram, stream };

/**
 * A connected UDP socket on a port of the kernel's choice: the kernel drops what others send and tells us of ICMP
 * errors.
 */
function datagram(to: Endpoint, events: DatagramEvents): DatagramPort {
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
  socket.connect(to.port, to.address);
  return {
    send(message) {
      if (isClosed) return;
      if (waiting === undefined) socket.send(message);
      else waiting.push(message);
    },
    close,
  };
}

function stream(to: Endpoint, events: StreamEvents): StreamPort {
  const socket = connect({ host: to.address, port: to.port, noDelay: true });
  let errno: string | undefined;
  let isDestroyed = false;
  socket.unref();
  socket.on('connect', () => events.onOpen());
  socket.on('data', (chunk) => events.onData(chunk));
  socket.on('error', (error) => {
    errno = errnoOf(error);
  });
  socket.on('close', () => {
    if (!isDestroyed) events.onClose(errno);
  });
  return {
    write: (chunk) => void socket.write(chunk),
    // Not `end` alone: a server that never closes its side would keep the descriptor.
    end: () => socket.destroySoon(),
    destroy() {
      isDestroyed = true;
      socket.destroy();
    },
  };
}
