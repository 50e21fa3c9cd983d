/** A TCP client for hostile tests: it sends any bytes, reads at any time, and has any address. */
import { connect, type Socket } from 'node:net';

export interface RawClientOptions {
  readonly host?: string;
  readonly port: number;
  /** Its own address: any of 127.0.0.0/8. */
  readonly localAddress?: string;
  /** Maximum number of bytes for each call of `sip`. */
  readonly sipBytes?: number;
}

export class RawClient {
  readonly #socket: Socket;
  #text = '';
  /** Whether the server has closed, or reset, the connection. */
  isClosed = false;
  /** The server has sent FIN, or an error such as ECONNRESET occurred. */
  isEnded = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('latin1');
    socket.on('end', () => {
      this.isEnded = true;
    });
    socket.on('error', () => {
      this.isEnded = true;
    });
    socket.on('close', () => {
      this.isClosed = true;
      this.isEnded = true;
    });
  }

  /** Resolves when connected. It reads nothing before `read` is called. */
  static open(options: RawClientOptions): Promise<RawClient> {
    const { host = '127.0.0.1', port, localAddress, sipBytes } = options;
    return new Promise((resolve, reject) => {
      const socket = connect({
        ...{ host, port, allowHalfOpen: true },
        ...(localAddress !== undefined && { localAddress }),
        ...(sipBytes !== undefined && {
          onread: { buffer: Buffer.alloc(sipBytes), callback: () => false },
        }),
      });
      socket.pause();
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new RawClient(socket));
      });
    });
  }

  /** The data read so far, one character for each byte. */
  get text(): string {
    return this.#text;
  }

  /** Status codes of the responses in `text`. */
  get statuses(): number[] {
    return [...this.#text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
  }

  send(text: string): void {
    this.#socket.write(text, 'latin1');
  }

  sendBytes(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  /** No effect while the server has not read what was sent before. */
  sendMore(bytes: Uint8Array): void {
    if (this.#socket.writableLength === 0) this.#socket.write(bytes);
  }

  /** Ends its sending side; reading continues. */
  half(): void {
    this.#socket.end();
  }

  read(): void {
    this.#socket.on('data', (text) => {
      this.#text += String(text);
    });
    this.#socket.resume();
  }

  /** Reads until `isEnough` of the text so far; false if the connection ends before, or after `atMostMs`. */
  readUntil(isEnough: (text: string) => boolean, atMostMs: number): Promise<boolean> {
    this.read();
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), atMostMs);
      const done = (isGood: boolean): void => {
        clearTimeout(timer);
        resolve(isGood);
      };
      this.#socket.on('data', () => {
        if (isEnough(this.#text)) done(true);
      });
      for (const event of ['end', 'error', 'close']) this.#socket.on(event, () => done(false));
    });
  }

  sip(): void {
    this.#socket.resume();
  }

  /** Closes with a RST. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }

  close(): void {
    this.#socket.destroy();
  }
}
