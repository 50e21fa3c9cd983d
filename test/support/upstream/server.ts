/** A name server on loopback, UDP and TCP on one port, that does what the test says. */
import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { createServer, type Server, type Socket } from 'node:net';
import { FrameReader, frame } from '../../../agent/dns/frame.ts';
import { type ReplyFields, replyTo, type SeenQuery, seenQuery } from './messages.ts';

export interface Asked extends SeenQuery {
  readonly transport: 'udp' | 'tcp';
  /** Sends a reply made from the query. */
  answer(fields: ReplyFields): void;
  /** Sends octets as they are; over TCP without a length in front. */
  raw(octets: Buffer): void;
  /** Ends the TCP connection: `close` with FIN, `reset` with RST. */
  hangUp(how: 'close' | 'reset'): void;
}

export type Script = (asked: Asked) => void;

export interface FakeServer {
  readonly port: number;
  /** Everything that was asked, in order. */
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
    const raw = (octets: Buffer): void => udp.send(octets, from.port, from.address);
    take(asked(message, 'udp', raw, raw, () => undefined));
  });
  tcp.on('connection', (socket) => {
    server.accepted++;
    sockets.add(socket);
    socket.on('error', () => undefined);
    const frames = new FrameReader();
    const raw = (octets: Buffer): void => void socket.write(octets);
    const send = (octets: Buffer): void => raw(frame(octets));
    const hangUp = (how: 'close' | 'reset'): void =>
      void (how === 'close' ? socket.end() : socket.resetAndDestroy());
    socket.on('data', (chunk) =>
      frames.push(chunk, (message) => take(asked(message, 'tcp', send, raw, hangUp))),
    );
  });
  return server;
}

function asked(
  message: Buffer,
  transport: 'udp' | 'tcp',
  send: (octets: Buffer) => void,
  raw: (octets: Buffer) => void,
  hangUp: Asked['hangUp'],
): Asked {
  const query = seenQuery(message);
  return { ...query, transport, raw, hangUp, answer: (fields) => send(replyTo(query, fields)) };
}
