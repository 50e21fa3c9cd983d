/** The fast UDP transport: up to 64 datagrams in one system call, through the addon (`native/udp`). */
import { type Endpoint, formatAddress, formatEndpoint, isWildcard } from '../../base/address.ts';
import { v6Key } from '../../base/clients/client-key.ts';
import { errnoOf, messageOf, NetworkError } from '../../base/errors.ts';
import type { Client } from '../../query/query.ts';
import {
  ADDRESS_BYTES,
  type BatchAddon,
  DeferredReplies,
  type Handle,
  makeBuffers,
  PEER_BYTES,
  SLOT_BYTES,
  slotsOf,
  V4_AT,
  V6_AT,
} from './addon-buffers.ts';
import type { OpenUdp, UdpOptions, UdpTransport } from './contract.ts';

const AF_INET = 2;
const STAT_RECEIVE_DROPS = 0;
const STAT_SEND_FAILED = 1;
const STAT_SHED = 2;
/** Room for two of the longest replies. */
const DEFERRED_BYTES = 128 * 1024;

/** Opens transports through `addon`. */
export function batchOpener(addon: BatchAddon): OpenUdp {
  return (options) => {
    try {
      return Promise.resolve(new BatchTransport(addon, options));
    } catch (error) {
      const where = formatEndpoint(options.endpoint);
      const reason = `cannot bind ${where}/udp: ${messageOf(error)}`;
      return Promise.reject(new NetworkError('bind', errnoOf(error), reason, { cause: error }));
    }
  };
}

/** A client with the kernel's address bytes, which a late reply needs; the text is built only on request. */
class BatchClient implements Client {
  /** The client's address, and the one it asked if the socket is a wildcard. One byte in each character. */
  readonly peer: string;

  constructor(peer: string) {
    this.peer = peer;
  }

  get family(): 4 | 6 {
    return this.peer.charCodeAt(0) === AF_INET ? 4 : 6;
  }

  get port(): number {
    return (this.peer.charCodeAt(2) << 8) | this.peer.charCodeAt(3);
  }

  get key(): string {
    return this.family === 4
      ? this.peer.slice(V4_AT, V4_AT + 4)
      : v6Key(this.peer.slice(V6_AT, V6_AT + 16));
  }

  get address(): string {
    return this.#addressAt(this.family === 4 ? V4_AT : V6_AT);
  }

  get asked(): string | undefined {
    return this.peer.length > ADDRESS_BYTES ? this.#addressAt(ADDRESS_BYTES) : undefined;
  }

  #addressAt(start: number): string {
    const text = this.peer.slice(start, start + (this.family === 4 ? 4 : 16));
    return formatAddress(Buffer.from(text, 'latin1'));
  }
}

class BatchTransport implements UdpTransport {
  readonly endpoint: Endpoint;
  readonly #addon: BatchAddon;
  readonly #options: UdpOptions;
  readonly #handle: Handle;
  readonly #buffers = makeBuffers(DEFERRED_BYTES);
  /** One view per slot, created once: the hit path creates none. */
  readonly #inputs = slotsOf(this.#buffers.input);
  readonly #outputs = slotsOf(this.#buffers.output);
  /** Bytes of a client's address. */
  readonly #peerBytes: number;
  readonly #outbox = new DeferredReplies(this.#buffers, (count) => this.#sendDeferred(count));
  #sendsFailed = 0;
  #dropsSeen = 0;
  #shedSeen = 0;
  #isClosing = false;
  /** Set after the last batch, which comes during `close`. */
  #isClosed = false;

  /** Throws the system's error if the address cannot be bound. */
  constructor(addon: BatchAddon, options: UdpOptions) {
    const { endpoint, receiveBufferBytes } = options;
    this.#addon = addon;
    this.#options = options;
    this.#peerBytes = isWildcard(endpoint.address) ? PEER_BYTES : ADDRESS_BYTES;
    this.#handle = addon.open(
      endpoint.address,
      endpoint.port,
      receiveBufferBytes,
      SLOT_BYTES,
      this.#buffers,
      (count) => this.#batch(count),
    );
    this.endpoint = { address: endpoint.address, port: addon.port(this.#handle) };
  }

  #batch(count: number): void {
    const { sink } = this.#options;
    const { inputLengths, outputLengths } = this.#buffers;
    sink.batchStart();
    for (let slot = 0; slot < count && !this.#isClosed; slot++) {
      const input = this.#inputs[slot] as Buffer;
      const output = this.#outputs[slot] as Buffer;
      const length = inputLengths[slot] as number;
      try {
        outputLengths[slot] = sink.datagram(this, slot, input, length, output);
      } catch (error) {
        // A failure of one packet must not cost the rest of the batch its answers.
        this.#options.onError(error as Error);
      }
    }
    sink.batchEnd();
    // No later turn will flush it.
    if (this.#isClosing) this.#outbox.flush();
    this.#readStats();
  }

  #readStats(): void {
    const { stats } = this.#buffers;
    // The kernel counts per socket, modulo 2³²; this counter outlives sockets and never decreases.
    const drops = stats[STAT_RECEIVE_DROPS] as number;
    const fresh = (drops - this.#dropsSeen) | 0;
    if (fresh > 0) {
      this.#options.receiveDrops.value += fresh;
      this.#dropsSeen = drops;
    }
    const failed = stats[STAT_SEND_FAILED] as number;
    for (; this.#sendsFailed < failed; this.#sendsFailed++) {
      this.#options.onError(new Error('the kernel did not take a reply'));
    }
    const shed = stats[STAT_SHED] as number;
    if (shed === this.#shedSeen) return;
    // Several clients may flood: one of them is named for each batch.
    const client = new BatchClient(this.#buffers.shedPeer.latin1Slice(0, this.#peerBytes));
    this.#options.onFlood?.(client, (shed - this.#shedSeen) >>> 0);
    this.#shedSeen = shed;
  }

  clientOf(slot: number): Client {
    const start = slot * PEER_BYTES;
    return new BatchClient(this.#buffers.peers.latin1Slice(start, start + this.#peerBytes));
  }

  send(bytes: Buffer, client: Client): void {
    if (!this.#isClosed && client instanceof BatchClient) this.#outbox.put(bytes, client.peer);
  }

  exchangeNow(): void {
    if (this.#isClosing) return;
    this.#outbox.flush();
    this.#addon.receiveNow(this.#handle);
  }

  #sendDeferred(count: number): void {
    if (!this.#isClosed) this.#addon.sendDeferred(this.#handle, count);
  }

  async close(): Promise<void> {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#outbox.flush();
    const closed = this.#addon.close(this.#handle);
    this.#isClosed = true;
    await closed;
  }
}
