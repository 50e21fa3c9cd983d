/**
 * DNS over HTTPS streams (RFC 8484): a stream of frames to its user, and on the wire one HTTP/2 request for each frame. So
 * pools, health and hedges are those of TCP and TLS. Messages are relayed as they are, with their IDs.
 */
import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { type Endpoint, familyOf, formatEndpoint } from '../../base/address.ts';
import { errnoOf } from '../../base/errors.ts';
import { optBytes, putOpt } from '../../dns/edns.ts';
import { MAX_FRAME_BYTES } from '../../dns/frame.ts';
import { arcountOf, FLAG, flagsOf, HEADER_BYTES, putU16, u16 } from '../../dns/header.ts';
import { EDE, RCODE } from '../../dns/iana.ts';
import type { UpstreamHttps, UpstreamTls } from '../../query/services/upstreams.ts';
import type { Dial, StreamEvents, StreamPort } from './ports.ts';

const MEDIA_TYPE = 'application/dns-message';
/** Requests of a session that may be open at once: the oldest of more has waited longer than any query. */
const MAX_REQUESTS = 1_024;
/** What a session may hold beside the requests, in MB. */
const MAX_SESSION_MB = 2;

/** Dials `to` over a socket of `open`, which offers HTTP/2 only. */
export function secureHttp(
  to: Endpoint,
  { https, serverName }: UpstreamTls & { readonly https: UpstreamHttps },
  open: () => TLSSocket,
): Dial {
  // Loaded by the first such upstream.
  const { connect, constants } = process.getBuiltinModule('node:http2');
  const host = serverName ?? (familyOf(to.address) === 6 ? `[${to.address}]` : to.address);
  const url = `https://${host}:${to.port}`;
  const start = (socket: TLSSocket): ClientHttp2Session =>
    connect(url, {
      createConnection: () => socket,
      settings: { enablePush: false },
      maxSessionMemory: MAX_SESSION_MB,
    });
  const name = `${formatEndpoint(to)} over https`;
  const settings = { ...https, name, start, cancelCode: constants.NGHTTP2_CANCEL };
  return (events) => new HttpPort(open(), settings, events);
}

interface PortSettings extends UpstreamHttps {
  /** In texts of failures. */
  readonly name: string;
  /** On a socket that is open: Node aborts where one is destroyed before its session has begun. */
  readonly start: (socket: TLSSocket) => ClientHttp2Session;
  readonly cancelCode: number;
}

/** One session. A request that HTTP fails is answered with SERVFAIL, so that it fails alone. */
class HttpPort implements StreamPort {
  readonly #socket: TLSSocket;
  readonly #settings: PortSettings;
  readonly #events: StreamEvents;
  /** The oldest first. */
  readonly #requests = new Set<ClientHttp2Stream>();
  #session: ClientHttp2Session | undefined;
  #errno: string | undefined;
  #isDestroyed = false;

  constructor(socket: TLSSocket, settings: PortSettings, events: StreamEvents) {
    this.#socket = socket;
    this.#settings = settings;
    this.#events = events;
    socket.unref();
    socket.on('connect', () => events.onHandshake());
    socket.on('secureConnect', () => this.#begin());
    socket.on('error', this.#keepError);
    socket.on('close', () => {
      if (!this.#isDestroyed) events.onClose(this.#errno);
    });
  }

  write(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      const end = at + 2 + u16(chunk, at);
      this.#ask(chunk.subarray(at + 2, end));
      at = end;
    }
  }

  end(): void {
    // Its user waits for no answer any more. A session that only closes would wait for the server to do so, too.
    this.#session?.destroy();
    this.#socket.destroySoon();
  }

  destroy(): void {
    this.#isDestroyed = true;
    this.#session?.destroy();
    this.#socket.destroy();
  }

  #begin(): void {
    const { alpnProtocol } = this.#socket;
    if (alpnProtocol !== 'h2') {
      this.#errno = 'EPROTONOSUPPORT';
      this.#socket.destroy();
      return;
    }
    const session = this.#settings.start(this.#socket);
    this.#session = session;
    session.unref();
    session.on('error', this.#keepError);
    this.#events.onOpen();
  }

  readonly #keepError = (error: Error): void => {
    this.#errno ??= errnoOf(error);
  };

  #ask(query: Buffer): void {
    const session = this.#session;
    if (session === undefined || session.closed || session.destroyed) {
      // The server takes no more requests of this session (GOAWAY): its user passes what is unanswered on.
      session?.destroy();
      return;
    }
    const { name } = this.#settings;
    const request = session.request(this.#headers(query));
    this.#requests.add(request);
    request.end(this.#settings.method === 'POST' ? query : undefined);
    let status: string | undefined;
    let isMessage = false;
    const chunks: Buffer[] = [];
    let bytes = 0;
    request.on('response', (headers) => {
      status = `HTTP ${headers[':status']}`;
      const [type = ''] = (headers['content-type'] ?? '').toLowerCase().split(';');
      isMessage = headers[':status'] === 200 && type.trim() === MEDIA_TYPE;
      if (headers[':status'] === 200 && !isMessage) status += ' with another content type';
    });
    request.on('data', (part: Buffer) => {
      bytes += part.length;
      if (isMessage && bytes <= MAX_FRAME_BYTES) chunks.push(part);
      else request.close(this.#settings.cancelCode);
    });
    request.on('error', () => undefined);
    request.on('close', () => {
      const isOpen = this.#requests.delete(request) && !session.destroyed;
      if (!isOpen || this.#isDestroyed) return;
      if (status === undefined && session.closed) {
        // It came too late for a session that the server ends: the same.
        session.destroy();
        return;
      }
      const flaw = isMessage ? flawOf(bytes, request.rstCode) : '';
      const text = `${name}: ${status ?? 'no HTTP response'}${flaw}`;
      this.#events.onData(framed(isMessage && flaw === '' ? chunks : [failureOf(query, text)]));
    });
    const [oldest] = this.#requests;
    if (this.#requests.size > MAX_REQUESTS && oldest !== undefined) {
      this.#requests.delete(oldest);
      oldest.close(this.#settings.cancelCode);
    }
  }

  #headers(query: Buffer): OutgoingHttpHeaders {
    const { path, method } = this.#settings;
    const common = { ':method': method, accept: MEDIA_TYPE };
    if (method === 'GET') {
      const separator = path.includes('?') ? '&' : '?';
      return { ...common, ':path': `${path}${separator}dns=${query.toString('base64url')}` };
    }
    const body = { 'content-type': MEDIA_TYPE, 'content-length': query.length };
    return { ...common, ':path': path, ...body };
  }
}

/** What is wrong with a response of the right kind; empty if nothing is. */
function flawOf(bytes: number, resetCode: number): string {
  if (bytes > MAX_FRAME_BYTES) return ' with too many bytes';
  if (resetCode !== 0) return ', and a reset';
  return bytes < HEADER_BYTES ? ' without a message' : '';
}

function framed(parts: readonly Buffer[]): Buffer {
  const message = Buffer.concat([Buffer.alloc(2), ...parts]);
  putU16(message, 0, message.length - 2);
  return message;
}

/** SERVFAIL to `query`, with an extended error if it has an OPT. */
function failureOf(query: Buffer, text: string): Buffer {
  let questionEnd = HEADER_BYTES;
  while ((query[questionEnd] as number) > 0) questionEnd += 1 + (query[questionEnd] as number);
  questionEnd += 5;
  const hasOpt = arcountOf(query) > 0;
  const extended = { code: EDE.NETWORK_ERROR, text };
  const reply = Buffer.alloc(questionEnd + (hasOpt ? optBytes(extended) : 0));
  query.copy(reply, 0, 0, questionEnd);
  putU16(reply, 2, FLAG.QR | (flagsOf(query) & (FLAG.RD | FLAG.CD)) | RCODE.SERVFAIL);
  const udpSizeBytes = MAX_FRAME_BYTES;
  if (hasOpt)
    putOpt(reply, questionEnd, { udpSizeBytes, rcode: RCODE.SERVFAIL, dnssecOk: false, extended });
  return reply;
}
