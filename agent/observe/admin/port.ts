/** Opens an admin port, TCP or a unix socket: node:http's server on this room's own connections. */
import { rmSync } from 'node:fs';
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { connect, createServer, type Server } from 'node:net';
import { errnoOf } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import { type HttpClients, UNIX } from './http-clients.ts';
import { answerRequest, type Pages } from './http-request.ts';
import { READ_BYTES } from './request-heads.ts';

const MAX_HEADER_BYTES = 8 * 1024;
/** Then the connection is closed, so that no client keeps one for ever. */
const REQUESTS_PER_CONNECTION = 1_000;

/** Opens `address`. Rejects with the system's error. */
export async function openAdminPort(
  address: string,
  pages: () => Pages,
  clients: HttpClients,
): Promise<Server> {
  const http = httpServer(pages);
  const server = createServer(
    { allowHalfOpen: true, noDelay: true, highWaterMark: READ_BYTES },
    (socket) =>
      clients.accept(socket, address, (connection) => void http.emit('connection', connection)),
  );
  const options = listenOptions(address);
  if ('path' in options) await removeDead(options.path);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return server;
}

/** Parses requests and writes responses. It does not listen and has no timers: the connections have their own. */
function httpServer(pages: () => Pages): HttpServer {
  const options = {
    maxHeaderSize: MAX_HEADER_BYTES,
    // Only announced to clients.
    keepAliveTimeout: LIMITS.adminIdleMs.default,
  };
  const server = createHttpServer(
    options,
    (request, response) => void answerRequest(request, response, pages()),
  );
  server.maxRequestsPerSocket = REQUESTS_PER_CONNECTION;
  return server;
}

/**
 * `:9253` is every address, v6 and v4; `localhost` is 127.0.0.1, as in CoreDNS, whatever the resolver says;
 * `unix:/path` is a socket for processes that see the same file system.
 */
function listenOptions(address: string): { host?: string; port: number } | { path: string } {
  if (address.startsWith(UNIX)) return { path: address.slice(UNIX.length) };
  const colon = address.lastIndexOf(':');
  const port = Number(address.slice(colon + 1));
  const host = address.slice(0, colon).replace(/^\[|\]$/g, '');
  if (host === '') return { port };
  return { host: host === 'localhost' ? '127.0.0.1' : host, port };
}

/** A killed process leaves its socket file behind, and the path cannot be used before the file is removed. */
async function removeDead(path: string): Promise<void> {
  const errno = await new Promise<string | undefined>((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(undefined);
    });
    socket.on('error', (error) => resolve(errnoOf(error)));
  });
  if (errno === 'ECONNREFUSED') rmSync(path, { force: true });
}
