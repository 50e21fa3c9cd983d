/** One request to an HTTP endpoint. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { InternalError, messageOf } from '../../base/errors.ts';
import type { AdminHandler, AdminResponse } from '../../query/services/admin.ts';
import { acceptsGzip, gzipped } from './compression.ts';
import { HttpConnection } from './http-connection.ts';
import { indexPage } from './index-page.ts';

/** Endpoints of one address by path. */
export type Pages = ReadonlyMap<string, AdminHandler>;

const TEXT = 'text/plain; charset=utf-8';
/** Passed to the kernel in one write: copying them takes less than 0.1 ms. */
const PART_BYTES = 64 * 1_024;

/** Answers GET and HEAD; never rejects. */
export async function answerRequest(
  request: IncomingMessage,
  response: ServerResponse,
  pages: Pages,
): Promise<void> {
  const connection: unknown = request.socket;
  if (!(connection instanceof HttpConnection)) throw new InternalError('a connection not of ours');
  connection.answering();
  response.on('finish', () => connection.answered());
  const page = await pageFor(request, pages);
  const isHead = request.method === 'HEAD';
  const plain = bytesOf(page.body);
  const isText = page.contentType.includes('text');
  const packed = isText && acceptsGzip(request) ? await packedOf(plain) : undefined;
  const body = packed ?? plain;
  const length = body.reduce((sum, part) => sum + part.length, 0);
  const { isLast } = connection.respond(isHead ? 0 : length);
  const headers: Record<string, string | number> = {
    'Content-Type': page.contentType,
    'Content-Length': length,
    'Cache-Control': 'no-store',
    ...page.headers,
  };
  if (packed !== undefined) headers['Content-Encoding'] = 'gzip';
  if (page.status === 405) headers.Allow = 'GET, HEAD';
  // A request's body is never read, so the connection cannot be reused after one.
  const hasBody = request.headers['content-length'] ?? request.headers['transfer-encoding'];
  if (hasBody !== undefined || isLast) headers.Connection = 'close';
  response.writeHead(page.status, headers);
  send(response, partsOf(isHead ? [] : body));
}

/** Undefined if the page is sent as it is: it is short, or cannot be compressed now. */
async function packedOf(body: readonly Uint8Array[]): Promise<readonly Uint8Array[] | undefined> {
  try {
    return await gzipped(body);
  } catch {
    return undefined;
  }
}

function bytesOf(body: AdminResponse['body']): readonly Uint8Array[] {
  if (typeof body === 'string') return [Buffer.from(body)];
  return body instanceof Uint8Array ? [body] : body;
}

function partsOf(body: readonly Uint8Array[]): Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (const bytes of body)
    for (let start = 0; start < bytes.length; start += PART_BYTES)
      parts.push(bytes.subarray(start, start + PART_BYTES));
  return parts;
}

/** Sends one part after the other from the one at `next`, each when the kernel has accepted the previous one. */
function send(response: ServerResponse, parts: readonly Uint8Array[], next = 0): void {
  const part = parts[next];
  if (part === undefined) response.end();
  else if (next === parts.length - 1) response.end(part);
  else response.write(part, (error) => error ?? send(response, parts, next + 1));
}

async function pageFor(request: IncomingMessage, pages: Pages): Promise<AdminResponse> {
  const [path = '', params] = (request.url ?? '').split('?', 2);
  const hasIndex = path === '/' && pages.has('/metrics');
  const handler = pages.get(path) ?? (hasIndex ? () => indexPage([...pages.keys()]) : undefined);
  if (handler === undefined) return { status: 404, contentType: TEXT, body: 'not found\n' };
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return { status: 405, contentType: TEXT, body: 'GET or HEAD only\n' };
  }
  try {
    const { host, accept } = request.headers;
    return await handler(new URLSearchParams(params), host, accept);
  } catch (error) {
    return { status: 500, contentType: TEXT, body: `${messageOf(error)}\n` };
  }
}
