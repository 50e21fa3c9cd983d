/** Requests to one API server over HTTP/1.1 on kept connections. */
import {
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
  type RequestOptions,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { ApiServer } from './api-server.ts';
import { ApiError } from './errors.ts';

/** Time until the API server must begin its response, milliseconds. */
const ANSWER_MS = 15_000;
/** After this time without traffic the kernel probes a connection, once a second, and ends it after ten probes. */
const KEEPALIVE_MS = 10_000;
/** Maximum connections: a watch has one for itself. */
const MAX_CONNECTIONS = 16;
/** Bytes that are read of a response that is an error. */
const MAX_ERROR_BYTES = 8 * 1024;
/** Maximum wait that an API server may ask for, milliseconds. */
const MAX_RETRY_AFTER_MS = 60_000;

/** The body of a response with status 200. */
export interface ApiBody extends AsyncIterable<Buffer> {
  /** Ends the connection; the iteration rejects with `error`. */
  destroy(error: ApiError): void;
}

/** One for each client; connections are made when they are needed. */
export class ApiTransport {
  readonly #server: ApiServer;
  readonly #clock: Clock;
  readonly #userAgent: string;
  #agent: HttpAgent | undefined;
  /** Certificates that `#agent` uses. */
  #trust = '';
  #isClosed = false;

  constructor(server: ApiServer, clock: Clock, userAgent: string) {
    this.#server = server;
    this.#clock = clock;
    this.#userAgent = userAgent;
  }

  /**
   * GET `path` with its query. Rejects with ApiError for every status but 200. A 401 is asked again at once if the token
   * has changed meanwhile: the kubelet replaces tokens before they expire.
   */
  async get(path: string): Promise<ApiBody> {
    const token = this.#server.token?.();
    try {
      return await this.#get(path, token);
    } catch (error) {
      const fresh = this.#server.token?.();
      if (!(error instanceof ApiError) || error.status !== 401 || fresh === token) throw error;
      return await this.#get(path, fresh);
    }
  }

  /** Ends every connection; later requests fail. */
  close(): void {
    this.#isClosed = true;
    this.#agent?.destroy();
  }

  async #get(path: string, token: string | undefined): Promise<ApiBody> {
    if (this.#isClosed) throw new ApiError('the client is closed');
    const response = await this.#send(this.#options(path, token));
    if (response.statusCode === 200) return response;
    const timer = this.#clock.after(ANSWER_MS, () => response.destroy());
    const error = await errorOf(response);
    timer.cancel();
    throw error;
  }

  #send(options: RequestOptions): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const request = (this.#isTls ? httpsRequest : httpRequest)(options);
    const timer = this.#clock.after(ANSWER_MS, () => {
      request.destroy(new ApiError(`no answer within ${ANSWER_MS / 1_000} s`));
    });
    request.once('response', (response) => {
      timer.cancel();
      // An error without a listener would end the process; the iteration reports it as well.
      response.on('error', () => {});
      resolve(response);
    });
    request.on('error', (error) => {
      timer.cancel();
      reject(error instanceof ApiError ? error : new ApiError(messageOf(error)));
    });
    request.end();
    return promise;
  }

  get #isTls(): boolean {
    return this.#server.url.protocol === 'https:';
  }

  #options(path: string, token: string | undefined): RequestOptions {
    const { url } = this.#server;
    return {
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port || (this.#isTls ? 443 : 80),
      path: `${url.pathname === '/' ? '' : url.pathname}${path}`,
      agent: this.#currentAgent(),
      headers: {
        accept: 'application/json',
        'user-agent': this.#userAgent,
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
      },
    };
  }

  /** New connections use the certificates that the files contain now. */
  #currentAgent(): HttpAgent {
    const { ca, cert, key, serverName } = this.#server;
    const texts = { ca: ca?.(), cert: cert?.(), key: key?.() };
    const trust = JSON.stringify(texts);
    if (this.#agent !== undefined && trust === this.#trust) return this.#agent;
    this.#agent?.destroy();
    this.#trust = trust;
    const kept = { keepAlive: true, keepAliveMsecs: KEEPALIVE_MS, maxSockets: MAX_CONNECTIONS };
    const named = serverName === undefined ? {} : { servername: serverName };
    this.#agent = this.#isTls
      ? new HttpsAgent({ ...kept, ...texts, ...named })
      : new HttpAgent(kept);
    return this.#agent;
  }
}

/** The error of a response, with the API server's own reason if it gives one. */
async function errorOf(response: IncomingMessage): Promise<ApiError> {
  const { statusCode = 0, headers } = response;
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > MAX_ERROR_BYTES) break;
      chunks.push(chunk);
    }
  } catch {
    // The status alone says enough.
  }
  const reason = reasonIn(Buffer.concat(chunks).toString('utf8'));
  const retryAfterMs = Math.min(1_000 * Number(headers['retry-after'] ?? 0), MAX_RETRY_AFTER_MS);
  return new ApiError(
    `${statusCode}${reason}`,
    statusCode,
    Number.isFinite(retryAfterMs) ? retryAfterMs : 0,
  );
}

/** `: ` and the message of a Status object; '' for anything else. */
function reasonIn(body: string): string {
  try {
    const { message } = JSON.parse(body) as { message?: unknown };
    return typeof message === 'string' ? `: ${message.slice(0, 300)}` : '';
  } catch {
    return '';
  }
}
