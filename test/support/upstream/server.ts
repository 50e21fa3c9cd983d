/** A name server on loopback, UDP and TCP on one port, with the behaviour of the test. */
import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { createServer, type Server, type Socket } from 'node:net';
import { FrameReader, frame } from '../../../agent/dns/frame.ts';
import { type ReplyFields, replyTo, type SeenQuery, seenQuery } from './messages.ts';

export interface Asked extends SeenQuery {
  readonly transport: 'udp' | 'tcp';
  /** Number of earlier queries on its connection, and in the same chunk of it; 0 for datagrams. */
  readonly before: number;
  readonly beforeInChunk: number;
  /** Sends a reply built from the query. */
  answer(fields: ReplyFields): void;
  /** Sends bytes as they are; over TCP without a length in front. */
  raw(bytes: Buffer): void;
  /** Ends the TCP connection: `close` with FIN, `reset` with RST. */
  hangUp(how: 'close' | 'reset'): void;
}

export type Script = (asked: Asked) => void;

export interface FakeServer {
  readonly port: number;
  /** All queries, in order. */
  readonly seen: readonly Asked[];
  /** Number of TCP connections accepted. */
  readonly accepted: number;
  script: Script;
  /** Idempotent. */
  close(): Promise<void>;
}

/** Listens on 127.0.0.1, on a port that is free for both transports. */
export async function startServer(script: Script): Promise<FakeServer> {
  for (;;) {
    const tcp = createServer();
    await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve));
    const { port } = tcp.address() as { port: number };
    const udp = createSocket('udp4');
    const bound = await new Promise<boolean>((resolve) => {
      udp.once('error', () => resolve(false));
      udp.bind(port, '127.0.0.1', () => resolve(true));
    });
    if (bound) return serve(tcp, udp, port, script);
    tcp.close();
  }
}

function serve(tcp: Server, udp: DatagramSocket, port: number, script: Script): FakeServer {
  const seen: Asked[] = [];
  const sockets = new Set<Socket>();
  const server = {
    port,
    seen,
    script,
    accepted: 0,
    async close(): Promise<void> {
      if (!tcp.listening) return;
      for (const socket of sockets) socket.destroy();
      udp.close();
      await new Promise((resolve) => tcp.close(resolve));
    },
  };
  const take = (asked: Asked): void => {
    seen.push(asked);
    server.script(asked);
  };
  udp.on('message', (message, from) => {
    const raw = (bytes: Buffer): void => udp.send(bytes, from.port, from.address);
    const query = seenQuery(message);
    const answer = (fields: ReplyFields): void => raw(replyTo(query, fields));
    const none = { before: 0, beforeInChunk: 0, hangUp: () => undefined };
    take({ ...query, ...none, transport: 'udp', raw, answer });
  });
  tcp.on('connection', (socket) => {
    server.accepted++;
    sockets.add(socket);
    socket.on('error', () => undefined);
    const frames = new FrameReader();
    const raw = (bytes: Buffer): void => void socket.write(bytes);
    const hangUp = (how: 'close' | 'reset'): void =>
      void (how === 'close' ? socket.end() : socket.resetAndDestroy());
    let before = 0;
    socket.on('data', (chunk) => {
      let beforeInChunk = 0;
      frames.push(chunk, (message) => {
        const query = seenQuery(message);
        const answer = (fields: ReplyFields): void => raw(frame(replyTo(query, fields)));
        const place = { before: before++, beforeInChunk: beforeInChunk++ };
        take({ ...query, ...place, transport: 'tcp', raw, hangUp, answer });
      });
    });
  });
  return server;
}
