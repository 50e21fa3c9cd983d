/** The fast UDP transport: up to 64 datagrams a system call, by the addon that `batch.c` is compiled to. */
import { type Endpoint, formatAddress, formatEndpoint } from '../../base/address.ts';
import { errnoOf, messageOf, NetworkError } from '../../base/errors.ts';
import type { Client } from '../../query/query.ts';
import type { OpenUdp, UdpOptions, UdpTransport } from './contract.ts';

/** As in `batch.c`. */
const BATCH = 64;
const ADDRESS_BYTES = 28;
/** Longest query read and longest reply written in place; longer replies are sent on their own. */
const SLOT_BYTES = 4_096;
const AF_INET = 2;
const STAT_RECEIVE_DROPS = 0;
const STAT_SEND_FAILED = 1;

declare const handleBrand: unique symbol;
type Handle = { readonly [handleBrand]: true };

interface Buffers {
  readonly input: Buffer;
  readonly output: Buffer;
  readonly addresses: Buffer;
  readonly inputLengths: Int32Array;
  readonly outputLengths: Int32Array;
  readonly stats: Uint32Array;
}

/** What `batch.c` exports. */
export interface BatchAddon {
  open(
    address: string,
    port: number,
    receiveBufferBytes: number,
    slotBytes: number,
    buffers: Buffers,
    onBatch: (count: number) => void,
  ): Handle;
  port(handle: Handle): number;
  send(handle: Handle, bytes: Buffer, sockaddr: Buffer): void;
  /** Hands over what is still in the receive queue before it returns. */
  close(handle: Handle): Promise<void>;
}

/** Opens transports by `addon`. */
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

/** A client with the address the kernel gave, which a late reply needs; text is made only if somebody looks. */
class BatchClient implements Client {
  readonly sockaddr: Buffer;

  constructor(sockaddr: Buffer) {
    this.sockaddr = sockaddr;
  }

  get family(): 4 | 6 {
    return this.sockaddr.readUInt16LE(0) === AF_INET ? 4 : 6;
  }

  get port(): number {
    return this.sockaddr.readUInt16BE(2);
  }

  get address(): string {
    const bytes = this.family === 4 ? this.sockaddr.subarray(4, 8) : this.sockaddr.subarray(8, 24);
    return formatAddress(bytes);
  }
}

class BatchTransport implements UdpTransport {
  readonly endpoint: Endpoint;
  readonly #addon: BatchAddon;
  readonly #options: UdpOptions;
  readonly #handle: Handle;
  readonly #buffers: Buffers = {
    input: Buffer.alloc(BATCH * SLOT_BYTES),
    output: Buffer.alloc(BATCH * SLOT_BYTES),
    addresses: Buffer.alloc(BATCH * ADDRESS_BYTES),
    inputLengths: new Int32Array(BATCH),
    outputLengths: new Int32Array(BATCH),
    stats: new Uint32Array(2),
  };
  /** One view per slot, made once: the hit path makes none. */
  readonly #inputs = slots(this.#buffers.input, SLOT_BYTES);
  readonly #outputs = slots(this.#buffers.output, SLOT_BYTES);
  #sendsFailed = 0;
  #dropsSeen = 0;
  #isClosing = false;
  /** Behind the last batch, which comes during `close`. */
  #isClosed = false;

  /** Throws the system's error where the address cannot be bound. */
  constructor(addon: BatchAddon, options: UdpOptions) {
    const { endpoint, receiveBufferBytes } = options;
    this.#addon = addon;
    this.#options = options;
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
        // One packet's fault must not cost the rest of the batch its answers.
        this.#options.onError(error as Error);
      }
    }
    sink.batchEnd();
    this.#readStats();
  }

  #readStats(): void {
    const { stats } = this.#buffers;
    // The kernel counts per socket, modulo 2³²; the counter outlives sockets and never goes back.
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
  }

  clientOf(slot: number): Client {
    const start = slot * ADDRESS_BYTES;
    return new BatchClient(
      Buffer.from(this.#buffers.addresses.subarray(start, start + ADDRESS_BYTES)),
    );
  }

  send(bytes: Buffer, client: Client): void {
    if (!this.#isClosed && client instanceof BatchClient) {
      this.#addon.send(this.#handle, bytes, client.sockaddr);
    }
  }

  async close(): Promise<void> {
    if (this.#isClosing) return;
    this.#isClosing = true;
    const closed = this.#addon.close(this.#handle);
    this.#isClosed = true;
    await closed;
  }
}

function slots(whole: Buffer, bytes: number): Buffer[] {
  return Array.from({ length: BATCH }, (_, slot) =>
    whole.subarray(slot * bytes, (slot + 1) * bytes),
  );
}
