/** One question of a client over UDP. It asks again, as a resolver library does: a datagram may be lost. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type DecodedPacket, decode, encode } from 'dns-packet';

const TRIES = 4;
const WAIT_MS = 2_500;

export interface Asked {
  readonly name: string;
  readonly type: 'A' | 'AAAA';
  readonly port: number;
  /** The client's address; default 127.0.0.1. */
  readonly from?: string;
}

/** What `decode` returns; its types leave the rcode out. */
export type Reply = DecodedPacket & { readonly rcode: string };

/**
 * The reply of the server at 127.0.0.1:`port`.
 * @throws {Error} without a reply to four tries within ten seconds
 */
export async function askOnce({ name, type, port, from }: Asked): Promise<Reply> {
  const socket = createSocket('udp4');
  try {
    socket.bind(0, from ?? '127.0.0.1');
    await once(socket, 'listening');
    const query = encode({ type: 'query', id: 7, flags: 0x100, questions: [{ type, name }] });
    for (let n = 0; n < TRIES; n++) {
      socket.send(query, port, '127.0.0.1');
      const reply = await once(socket, 'message', { signal: AbortSignal.timeout(WAIT_MS) }).catch(
        () => undefined,
      );
      if (reply !== undefined) return decode(reply[0] as Buffer) as Reply;
    }
    throw new Error(`no reply from port ${port} to ${name} ${type} in ${TRIES} tries`);
  } finally {
    socket.close();
  }
}
