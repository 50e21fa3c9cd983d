/** A connected socket of node:net or node:tls as a `StreamPort`. */
import type { Socket } from 'node:net';
import { errnoOf } from '../../base/errors.ts';
import type { StreamEvents, StreamPort } from './ports.ts';

/** The port on a socket, TLS or not; the caller reports when it is open. */
export function portOf(socket: Socket, events: StreamEvents): StreamPort {
  let errno: string | undefined;
  let isDestroyed = false;
  socket.unref();
  socket.on('data', (chunk: Buffer) => events.onData(chunk));
  socket.on('error', (error) => {
    errno = errnoOf(error);
  });
  socket.on('close', () => {
    if (!isDestroyed) events.onClose(errno);
  });
  return {
    write: (chunk) => void socket.write(chunk),
    // `end` alone would keep the descriptor if the server never closes its side.
    end: () => socket.destroySoon(),
    destroy() {
      isDestroyed = true;
      // A reset is one packet, while the kernel would retransmit a FIN to a dead peer for minutes.
      if (socket.readyState === 'open' && !('encrypted' in socket)) socket.resetAndDestroy();
      else socket.destroy();
    },
  };
}
