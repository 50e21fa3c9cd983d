/** An admin port as the system opens it: TCP or a unix socket, with the bounds of a page that is not for browsers. */
import { rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { connect } from 'node:net';
import { errnoOf } from '../base/errors.ts';
import { answerRequest, type Pages } from './admin-http.ts';
import { UNIX } from './admin-listener.ts';

/** Most clients at once; scrapers and probes are few. */
const MAX_CONNECTIONS = 64;
const MAX_HEADER_BYTES = 8 * 1024;
/** Headers, and with them the whole request, must be there within this. */
const REQUEST_TIMEOUT_MS = 5_000;
const KEEP_ALIVE_MS = 5_000;
/** Then the connection is closed, so that no client holds one for ever. */
const REQUESTS_PER_CONNECTION = 1_000;

/** Opens `address`. Rejects with what the system says. */
export async function openAdminPort(address: string, pages: () => Pages): Promise<Server> {
  const server = createServer(
    {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: REQUEST_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: REQUEST_TIMEOUT_MS,
    },
    (request, response) => void answerRequest(request, response, pages()),
  );
  const options = listenOptions(address);
  if ('path' in options) await removeDead(options.path);
  server.maxConnections = MAX_CONNECTIONS;
  server.maxRequestsPerSocket = REQUESTS_PER_CONNECTION;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return server;
}

/**
 * `:9253` is every address, v6 and v4; `localhost` is 127.0.0.1, as the peer has it, whatever the resolver says;
 * `unix:/path` is a socket that only processes who see the same file system reach.
 */
function listenOptions(address: string): { host?: string; port: number } | { path: string } {
  if (address.startsWith(UNIX)) return { path: address.slice(UNIX.length) };
  const colon = address.lastIndexOf(':');
  const port = Number(address.slice(colon + 1));
  const host = address.slice(0, colon).replace(/^\[|\]$/g, '');
  if (host === '') return { port };
  return { host: host === 'localhost' ? '127.0.0.1' : host, port };
}

/** A process that was killed leaves its socket behind, and nobody can listen at that path before it is gone. */
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
