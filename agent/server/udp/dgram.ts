/**
 * The portable UDP transport: node:dgram, one datagram a batch. It cannot read the kernel's drop counter (SO_RXQ_OVFL).
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Endpoint, familyOf, formatEndpoint } from '../../base/address.ts';
import { errnoOf, messageOf, NetworkError } from '../../base/errors.ts';
import { type Client, clientAt } from '../../query/query.ts';
import type { OpenUdp, UdpOptions, UdpTransport } from './contract.ts';

/** Maximum reply written in place; a longer one goes through `send` with its own buffer. */
const OUT_BYTES = 4_096;
/** Maximum replies that wait for the kernel, as in `native/udp/transport.h`; more are dropped and counted. */
const MAX_WAITING = 1_024;
/** Turns of the event loop in which `close` reads what has been received: 32 datagrams each. */
const LAST_TURNS = 512;

/** Used without the addon. It cannot serve a wildcard, because it does not know the address that a client asked. */
export const openDgram: OpenUdp = async (options) => {
  const { address, port } = options.endpoint;
  const isV6 = familyOf(address) === 6;
  // The newest socket takes over without a gap at an upgrade (docs/decisions/012-reuseport-hand-over.md).
  const socket = createSocket({ type: isV6 ? 'udp6' : 'udp4', reuseAddr: true, ipv6Only: isV6 });
  try {
    socket.bind({ address, port, exclusive: true });
    await once(socket, 'listening');
  } catch (error) {
    socket.close();
    const where = formatEndpoint(options.endpoint);
    const reason = `cannot bind ${where}/udp: ${messageOf(error)}`;
    throw new NetworkError('bind', errnoOf(error), reason, { cause: error });
  }
  enlargeReceiveBuffer(socket, options.receiveBufferBytes);
  return new DgramTransport(socket, options);
};

/** The kernel grants at most net.core.rmem_max; a smaller buffer is not an error. */
function enlargeReceiveBuffer(socket: Socket, bytes: number): void {
  try {
    socket.setRecvBufferSize(bytes);
  } catch {
    // The default size works too, with less room for bursts.
  }
}

class DgramTransport implements UdpTransport {
  readonly endpoint: Endpoint;
  readonly #socket: Socket;
  readonly #options: UdpOptions;
  readonly #out = Buffer.alloc(OUT_BYTES);
  #sender: RemoteInfo = { address: '', port: 0, family: 'IPv4', size: 0 };
  /** Datagrams so far. */
  #count = 0;
  #isHandling = false;
  #isClosing = false;
  /** Set after the last datagram, which comes during `close`. */
  #isClosed = false;

  constructor(socket: Socket, options: UdpOptions) {
    const bound = socket.address();
    this.endpoint = { address: options.endpoint.address, port: bound.port };
    this.#socket = socket;
    this.#options = options;
    socket.on('message', (message, sender) => this.#received(message, sender));
    socket.on('error', (error) => options.onError(error));
  }

  #received(message: Buffer, sender: RemoteInfo): void {
    if (this.#isClosed) return;
    this.#count++;
    const { sink } = this.#options;
    this.#sender = sender;
    this.#isHandling = true;
    sink.batchStart();
    let length = 0;
    try {
      length = sink.datagram(this, 0, message, message.length, this.#out);
    } catch (error) {
      this.#options.onError(error as Error);
    }
    sink.batchEnd();
    this.#isHandling = false;
    // The kernel may read the bytes after this call: they need their own buffer.
    if (length > 0) this.#send(Buffer.from(this.#out.subarray(0, length)), sender);
  }

  clientOf(): Client {
    const { address, port } = this.#sender;
    return clientAt(address, port);
  }

  send(bytes: Buffer, client: Client): void {
    this.#send(Buffer.from(bytes), client);
  }

  /** node:dgram reads only when the event loop says so. */
  exchangeNow(): void {}

  #send(bytes: Buffer, to: { readonly address: string; readonly port: number }): void {
    if (this.#isClosed) return;
    if (this.#socket.getSendQueueCount() >= MAX_WAITING) {
      this.#options.onError(new Error('too many replies wait for the kernel'));
      return;
    }
    this.#socket.send(bytes, to.port, to.address, (error) => {
      if (error !== null && !this.#isClosed) this.#options.onError(error);
    });
  }

  async close(): Promise<void> {
    if (this.#isClosing) return;
    this.#isClosing = true;
    if (!this.#isHandling) await this.#emptied();
    this.#isClosed = true;
    const closed = once(this.#socket, 'close');
    this.#socket.close();
    await closed;
  }

  /** Resolves after a turn of the event loop without a datagram: everything received is handled. */
  async #emptied(): Promise<void> {
    for (let turn = 0; turn < LAST_TURNS; turn++) {
      const before = this.#count;
      // The event loop reads sockets between two turns.
      await nextTurn();
      await nextTurn();
      if (this.#count === before) return;
    }
  }
}
