/** A TCP client that sends raw bytes and collects whole messages. */
import { connect, type Socket } from 'node:net';
import { FrameReader, frame } from '../../../agent/dns/frame.ts';
import { eventually } from '../netns/netns.ts';

export interface TcpClient {
  readonly socket: Socket;
  /** Messages received so far, without their lengths. */
  readonly messages: readonly Buffer[];
  /** Whether the server has sent its FIN, or a reset. */
  readonly ended: { fin: boolean; closed: boolean };
  /** Sends messages in one write, each in its frame. */
  ask(...messages: readonly Buffer[]): void;
  /** Resolves when `count` messages have arrived. */
  received(count: number): Promise<void>;
  ids(): number[];
}

/** `from` is the source address, where it matters. */
export async function tcpClient(
  port: number,
  host = '127.0.0.1',
  from?: string,
): Promise<TcpClient> {
  const own = from === undefined ? {} : { localAddress: from };
  const socket = connect({ port, host, allowHalfOpen: true, ...own });
  const messages: Buffer[] = [];
  const frames = new FrameReader();
  const ended = { fin: false, closed: false };
  socket.on('data', (chunk) =>
    frames.push(chunk, (message) => messages.push(Buffer.from(message))),
  );
  socket.on('end', () => {
    ended.fin = true;
  });
  socket.on('close', () => {
    ended.closed = true;
  });
  socket.on('error', () => undefined);
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  return {
    socket,
    messages,
    ended,
    ask: (...asked) => void socket.write(Buffer.concat(asked.map(frame))),
    received: (count) => eventually(`${count} messages`, () => messages.length >= count),
    ids: () => messages.map((message) => message.readUInt16BE(0)),
  };
}
