/** DNS over TLS streams (RFC 7858): verified strictly (RFC 8310 §5), sessions resumed (RFC 8446 §2.2). */
import type { TLSSocket } from 'node:tls';
import type { UpstreamTls } from '../../query/services/upstreams.ts';
import { secureHttp } from './https-dial.ts';
import type { Destination, Dial } from './ports.ts';
import { portOf } from './stream-port.ts';

/**
 * Dials `to`. Without a server name the certificate must contain the address. Throws OpenSSL's error for unusable
 * certificates or keys.
 */
export function secure(to: Destination, tls: UpstreamTls): Dial {
  const { https } = tls;
  if (https !== undefined) return secureHttp(to, { ...tls, https }, tlsSockets(to, tls, ['h2']));
  const open = tlsSockets(to, tls);
  return (events) => {
    const socket = open();
    socket.on('connect', () => events.onHandshake());
    socket.on('secureConnect', () => events.onOpen());
    return portOf(socket, events);
  };
}

/** Makes connecting sockets that resume each other's sessions. Throws as `secure`. */
function tlsSockets(
  to: Destination,
  tls: UpstreamTls,
  ALPNProtocols: string[] | undefined = undefined,
): () => TLSSocket {
  // Loaded by the first upstream over TLS: it costs 4 MB, and most nodes have none.
  const { connect, createSecureContext } = process.getBuiltinModule('node:tls');
  const { serverName, ca, cert, key } = tls;
  const secureContext = createSecureContext({ ca, cert, key, minVersion: 'TLSv1.2' });
  let session: Buffer | undefined;
  return () => {
    const socket = connect({
      host: to.address,
      port: to.port,
      ...(to.from !== undefined && { localAddress: to.from }),
      secureContext,
      rejectUnauthorized: true,
      ...(serverName !== undefined && { servername: serverName }),
      ...(session !== undefined && { session }),
      ...(ALPNProtocols !== undefined && { ALPNProtocols }),
    });
    let ticket: Buffer | undefined;
    // The ticket arrives before the certificate is verified in TLS 1.2, after it in TLS 1.3.
    const keep = (): void => {
      if (socket.authorized && ticket !== undefined) session = ticket;
    };
    socket.setNoDelay(true);
    socket.on('session', (latest: Buffer) => {
      ticket = latest;
      keep();
    });
    socket.on('secureConnect', keep);
    // A ticket that the server rejects must not spoil the next attempt.
    socket.on('error', () => {
      session = undefined;
    });
    return socket;
  };
}
