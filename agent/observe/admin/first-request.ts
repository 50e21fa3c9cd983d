/** The first request to an admin port, sent by the agent itself. */
import { connect, type NetConnectOpts, type Server } from 'node:net';
import type { Clock } from '../../base/clock.ts';

// No page: making one may begin something.
const REQUEST = 'HEAD /first-request HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';
/** A firewall may keep the process from its own address. */
const TIMEOUT_MS = 200;

/**
 * The first request takes several milliseconds, because all code behind it is compiled. So the agent sends one when it
 * has opened the port, a moment after its start. Resolves at its end, whatever the result.
 */
export function askFirst(server: Server, clock: Clock): Promise<void> {
  const target = targetOf(server.address());
  if (target === undefined) return Promise.resolve();
  return new Promise((resolve) => {
    const socket = connect(target, () => socket.write(REQUEST));
    const timer = clock.after(TIMEOUT_MS, () => socket.destroy());
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
