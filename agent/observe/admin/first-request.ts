/** The first request to an admin port, made by ourselves. */
import { connect, type NetConnectOpts, type Server } from 'node:net';
import type { Clock } from '../../base/clock.ts';

const REQUEST = 'HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';
/** The kernel may have rules that keep us from our own address. */
const PATIENCE_MS = 200;

/**
 * The first request takes several milliseconds, because everything behind it is compiled. It is asked before there are
 * queries to wait for it. Resolves when it is over, whatever came of it.
 */
export function askFirst(server: Server, clock: Clock): Promise<void> {
  const target = targetOf(server.address());
  if (target === undefined) return Promise.resolve();
  return new Promise((resolve) => {
    const socket = connect(target, () => socket.write(REQUEST));
    const timer = clock.after(PATIENCE_MS, () => socket.destroy());
    socket.resume();
    socket.on('error', () => {});
    socket.on('close', () => {
      timer.cancel();
      resolve();
    });
  });
}

function targetOf(bound: ReturnType<Server['address']>): NetConnectOpts | undefined {
  if (bound === null) return undefined;
  if (typeof bound === 'string') return { path: bound };
  const { address, family, port } = bound;
  if (address === '::' || address === '0.0.0.0')
    return { port, host: family === 'IPv6' ? '::1' : '127.0.0.1' };
  return { port, host: address };
}
