/**
 * DNS over HTTPS streams (RFC 8484): a stream of frames to its user, and on the wire one HTTP/2 request for each frame. So
 * pools, health and hedges are those of TCP and TLS. Messages are relayed as they are, with their IDs.
 */
import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { type Endpoint, familyOf, formatEndpoint } from '../../base/address.ts';
import { errnoOf } from '../../base/errors.ts';
import { optBytes, putOpt } from '../../dns/edns.ts';
import { frame, MAX_FRAME_BYTES } from '../../dns/frame.ts';
import { arcountOf, FLAG, flagsOf, HEADER_BYTES, putU16, u16 } from '../../dns/header.ts';
import { EDE, RCODE } from '../../dns/iana.ts';
import type { UpstreamHttps, UpstreamTls } from '../../query/services/upstreams.ts';
import { HttpBody } from './https-body.ts';
import type { Dial, StreamEvents, StreamPort } from './ports.ts';

const MEDIA_TYPE = 'application/dns-message';
/** Requests of a session that may be open at once: the oldest of more has waited longer than any query. */
const MAX_REQUESTS = 1_024;
/** What a session may hold beside the requests, in MB. */
const MAX_SESSION_MB = 2;
/** Memory of a session for bodies that are not whole yet. */
const MAX_HELD_BYTES = 2 * 2 ** 20;

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
  /** With what has arrived of their bodies; the oldest first. */
  readonly #requests = new Map<ClientHttp2Stream, HttpBody>();
  /** Of all bodies. */
  #heldBytes = 0;
  /** Requests that were cancelled and are not closed: those that the server has no stream for stay in the session. */
  #cancelled = 0;
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
    const body = new HttpBody();
    this.#requests.set(request, body);
    request.end(this.#settings.method === 'POST' ? query : undefined);
    let status: string | undefined;
    let isMessage = false;
    let isTooLong = false;
    request.on('response', (headers) => {
      status = `HTTP ${headers[':status']}`;
      const [type = ''] = (headers['content-type'] ?? '').toLowerCase().split(';');
      isMessage = headers[':status'] === 200 && type.trim() === MEDIA_TYPE;
      if (headers[':status'] === 200 && !isMessage) status += ' with another content type';
    });
    request.on('data', (part: Buffer) => {
      if (request.closed || !this.#requests.has(request)) return;
      if (isMessage && this.#hold(body, part)) return;
      isTooLong = isMessage;
      this.#refuse(request, body);
    });
    request.on('error', () => undefined);
    request.on('close', () => {
      const isOpen = this.#forget(request) && !session.destroyed;
      if (!isOpen || this.#isDestroyed) return;
      if (status === undefined && session.closed) {
        // It came too late for a session that the server ends: the same.
        session.destroy();
        return;
      }
      const flaw = isMessage ? flawOf(body, isTooLong, request.rstCode) : '';
      const text = `${name}: ${status ?? 'no HTTP response'}${flaw}`;
      const isGood = isMessage && flaw === '';
      this.#events.onData(isGood ? body.frame() : frame(failureOf(query, text)));
    });
    if (this.#requests.size > MAX_REQUESTS) this.#cancelOldest(session);
  }

  /** False if `body` became too long. The oldest bodies give way: of a server that works none is old. */
  #hold(body: HttpBody, part: Buffer): boolean {
    const before = body.heldBytes;
    const isHeld = body.add(part);
    this.#heldBytes += body.heldBytes - before;
    for (const [request, older] of this.#requests) {
      if (this.#heldBytes <= MAX_HELD_BYTES) break;
      if (older.heldBytes > 0) this.#refuse(request, older);
    }
    return isHeld;
  }

  /** Its query fails. */
  #refuse(request: ClientHttp2Stream, body: HttpBody): void {
    this.#heldBytes -= body.heldBytes;
    body.clear();
    request.close(this.#settings.cancelCode);
  }

  #cancelOldest(session: ClientHttp2Session): void {
    const [oldest] = this.#requests;
    if (oldest === undefined) return;
    const [request, body] = oldest;
    this.#requests.delete(request);
    this.#cancelled++;
    this.#refuse(request, body);
    // Its user passes what is unanswered on.
    if (this.#cancelled > MAX_REQUESTS) session.destroy();
  }

  /** Of a request that is closed. False if it was cancelled. */
  #forget(request: ClientHttp2Stream): boolean {
    const body = this.#requests.get(request);
    if (body === undefined) {
      this.#cancelled--;
      return false;
    }
    this.#heldBytes -= body.heldBytes;
    return this.#requests.delete(request);
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
function flawOf(body: HttpBody, isTooLong: boolean, resetCode: number): string {
  if (isTooLong) return ' with too many bytes';
  if (resetCode !== 0) return ', and a reset';
  return body.messageBytes < HEADER_BYTES ? ' without a message' : '';
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
