/**
 * A bidirectional Frame Streams writer: READY, ACCEPT, START, data, STOP (fstrm's protocol, which carries dnstap).
 * Frames wait in a bounded queue while no reader is connected or the reader is slow; further frames are dropped and
 * counted.
 */
import { connect, isIP, type Socket } from 'node:net';
import type { Clock, Timer } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import type { DnstapTarget, FrameExportOptions, FrameSink } from '../../query/services/exports.ts';
import type { Logger } from '../../query/services/log.ts';
import type { Counter, Metrics } from '../../query/services/metrics.ts';

const CONTROL = { accept: 1, start: 2, stop: 3, ready: 4 } as const;
const FIELD_CONTENT_TYPE = 1;
/** Maximum length of a reader's control frame; longer ones are not Frame Streams. */
const MAX_CONTROL_BYTES = 512;
const RETRY_MS = 1_000;
/** A reader that has not accepted after this time hangs, or what is in front of it does. */
const ACCEPT_MS = 10_000;
/** Bytes passed to the kernel at once, so that frames wait in the queue and not in the socket. */
const CHUNK_BYTES = 256 * 1024;

/** A stream to one reader. It connects at once, and again a second after a connection has failed or ended. */
export class FrameStream implements FrameSink {
  readonly #options: FrameExportOptions;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #dropped: Counter;
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #socket: Socket | undefined;
  /** Until the reader has accepted: when it must have. After the connection: when to connect again. */
  #timer: Timer | undefined;
  #received: Buffer = Buffer.alloc(0);
  #isStarted = false;
  #isClosed = false;

  constructor(
    options: FrameExportOptions,
    { clock, log, metrics }: { clock: Clock; log: Logger; metrics: Metrics },
  ) {
    this.#options = options;
    this.#clock = clock;
    this.#log = log;
    this.#dropped = metrics.counter('nodens_dnstap_dropped_total', { to: nameOf(options.target) });
    this.#connect();
  }

  add(frame: Uint8Array): void {
    const { maxFrames, maxBytes } = this.#options;
    if (this.#queue.length >= maxFrames || this.#queuedBytes + frame.length > maxBytes) {
      this.#dropped.value++;
      return;
    }
    this.#queue.push(frame);
    this.#queuedBytes += frame.length;
    // One write for all frames of a turn of the event loop.
    if (this.#queue.length === 1) setImmediate(() => this.#flush());
  }

  /** Passes waiting frames to the kernel as far as it accepts them, then ends the stream with STOP. */
  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#flush();
    if (this.#isStarted) this.#socket?.end(control(CONTROL.stop));
    else this.#socket?.destroy();
  }

  #connect(): void {
    const { target, contentType } = this.#options;
    const socket = open(target);
    socket.unref();
    this.#socket = socket;
    this.#isStarted = false;
    this.#received = Buffer.alloc(0);
    const opened = target.kind === 'tls' ? 'secureConnect' : 'connect';
    socket.on(opened, () => socket.write(control(CONTROL.ready, contentType)));
    socket.on('data', (chunk) => this.#read(socket, chunk));
    socket.on('drain', () => this.#flush());
    this.#timer = this.#clock.after(ACCEPT_MS, () =>
      socket.destroy(new Error('the other side does not answer')),
    );
    socket.on('error', (error) => {
      this.#timer?.cancel();
      this.#log.warn(
        { event: 'dnstap-connection', to: nameOf(target) },
        `dnstap: cannot connect, will retry: ${messageOf(error)}`,
      );
    });
    socket.on('close', () => {
      this.#timer?.cancel();
      this.#isStarted = false;
      if (!this.#isClosed) this.#timer = this.#clock.after(RETRY_MS, () => this.#connect());
    });
  }

  /** Waits for ACCEPT; later messages of the reader are ignored. */
  #read(socket: Socket, chunk: Buffer): void {
    if (this.#isStarted) return;
    this.#received = Buffer.concat([this.#received, chunk]);
    const { length } = this.#received;
    if (length < 12) return;
    const bytes = this.#received.readUInt32BE(4);
    const isAccept =
      this.#received.readUInt32BE(0) === 0 && this.#received.readUInt32BE(8) === CONTROL.accept;
    if (!isAccept || bytes > MAX_CONTROL_BYTES) {
      socket.destroy(new Error('the other side does not speak Frame Streams'));
      return;
    }
    if (length < 8 + bytes) return;
    socket.write(control(CONTROL.start, this.#options.contentType));
    this.#timer?.cancel();
    this.#isStarted = true;
    this.#flush();
  }

  #flush(): void {
    const socket = this.#socket;
    if (!this.#isStarted || socket === undefined) return;
    let sent = 0;
    while (sent < this.#queue.length && !socket.writableNeedDrain) {
      const parts: Uint8Array[] = [];
      for (let bytes = 0; sent < this.#queue.length && bytes < CHUNK_BYTES; sent++) {
        const frame = this.#queue[sent] as Uint8Array;
        parts.push(u32(frame.length), frame);
        bytes += frame.length;
        this.#queuedBytes -= frame.length;
      }
      socket.write(Buffer.concat(parts));
    }
    this.#queue = this.#queue.slice(sent);
  }
}

function open(target: DnstapTarget): Socket {
  if (target.kind === 'unix') return connect({ path: target.path });
  const { host, port } = target;
  if (target.kind === 'tcp') return connect(port, host);
  // Loaded by the first collector over TLS: most nodes have none.
  const tls = process.getBuiltinModule('node:tls');
  const servername = isIP(host) === 0 ? { servername: host } : {};
  return tls.connect({ host, port, ...servername, rejectUnauthorized: target.isVerified });
}

function nameOf(target: DnstapTarget): string {
  return target.kind === 'unix' ? target.path : `${target.host}:${target.port}`;
}

function control(type: number, contentType?: string): Buffer {
  const text = Buffer.from(contentType ?? '');
  const field = contentType === undefined ? [] : [u32(FIELD_CONTENT_TYPE), u32(text.length), text];
  const body = Buffer.concat([u32(type), ...field]);
  return Buffer.concat([u32(0), u32(body.length), body]);
}

function u32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
