/** A server of DNS over HTTPS whose answers a test chooses, and a connection to it. */
import { readFileSync } from 'node:fs';
import {
  createSecureServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo, Server } from 'node:net';
import type { TestContext } from 'node:test';
import { nodeSockets } from '../../../agent/upstream/transport/node-sockets.ts';
import type { StreamPort } from '../../../agent/upstream/transport/ports.ts';
import type { Pair } from './certificates.ts';
import { replyTo, type SeenQuery, seenQuery } from './messages.ts';

export interface Request {
  readonly headers: IncomingHttpHeaders;
  readonly query: SeenQuery;
  readonly stream: ServerHttp2Stream;
}

export interface HttpServer {
  readonly port: number;
  readonly requests: Request[];
  readonly sessions: ServerHttp2Session[];
}

/** Headers of an answer. */
export const DNS = { ':status': 200, 'content-type': 'application/dns-message' };

export function answer({ stream, query }: Request): void {
  stream.respond(DNS);
  stream.end(replyTo(query, { address: [192, 0, 2, 80] }));
}

/** `respond` gets each request, the body read. `maxStreams`: how many the server takes at once. */
export async function startHttp(
  t: TestContext,
  pair: Pair,
  respond: (request: Request, at: number) => void = answer,
  maxStreams: number = 1_000,
): Promise<HttpServer> {
  const server = createSecureServer({
    ...{ cert: readFileSync(pair.cert), key: readFileSync(pair.key) },
    settings: { maxConcurrentStreams: maxStreams },
  });
  const state = { port: 0, requests: [] as Request[], sessions: [] as ServerHttp2Session[] };
  server.on('session', (session) => {
    state.sessions.push(session);
    session.on('error', () => undefined);
  });
  server.on('stream', (stream, headers) => {
    const parts: Buffer[] = [];
    stream.on('error', () => undefined);
    stream.on('data', (part: Buffer) => parts.push(part));
    stream.on('end', () => {
      const url = new URL(headers[':path'] ?? '', 'https://server.test');
      const sent = Buffer.from(url.searchParams.get('dns') ?? '', 'base64url');
      const query = seenQuery(headers[':method'] === 'GET' ? sent : Buffer.concat(parts));
      const request = { headers, query, stream };
      respond(request, state.requests.push(request) - 1);
    });
  });
  state.port = await listen(t, server, () => {
    for (const session of state.sessions) session.destroy();
  });
  return state;
}

/** Listens on a free port of loopback until the test ends; returns the port. */
export async function listen(t: TestContext, server: Server, stop: () => void): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    stop();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

export interface Dialled {
  readonly port: StreamPort;
  /** What was received, in order. */
  readonly received: Buffer[];
  readonly closed: Promise<void>;
}

/** An open connection to a server whose certificate is of the authority `ca`. */
export async function dialled(port: number, ca: string): Promise<Dialled> {
  const https = { path: '/dns-query', method: 'POST' } as const;
  const dial = nodeSockets.secure(
    { address: '127.0.0.1', port },
    { ca, https, serverName: undefined },
  );
  const opened = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  const received: Buffer[] = [];
  const stream = dial({
    onHandshake: () => undefined,
    onOpen: () => opened.resolve(),
    onData: (chunk) => void received.push(chunk),
    onClose: () => closed.resolve(),
  });
  await opened.promise;
  return { port: stream, received, closed: closed.promise };
}
