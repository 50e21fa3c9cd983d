/** One request to an admin page. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { messageOf } from '../base/errors.ts';
import type { AdminHandler, AdminResponse } from '../query/services.ts';

/** Pages of one address by path. */
export type Pages = ReadonlyMap<string, AdminHandler>;

const TEXT = 'text/plain; charset=utf-8';

/** Answers GET and HEAD; never rejects. */
export async function answerRequest(
  request: IncomingMessage,
  response: ServerResponse,
  pages: Pages,
): Promise<void> {
  const page = await pageFor(request, pages);
  const { body: given } = page;
  const parts = given instanceof Array ? given : [given];
  const body = Buffer.concat(parts.map((part) => Buffer.from(part)));
  const headers: Record<string, string | number> = {
    'Content-Type': page.contentType,
    'Content-Length': body.length,
    'Cache-Control': 'no-store',
  };
  if (page.status === 405) headers.Allow = 'GET, HEAD';
  // Nobody reads a body sent to us, so the connection cannot be used again behind one.
  if (request.headers['content-length'] ?? request.headers['transfer-encoding']) {
    headers.Connection = 'close';
  }
  response.writeHead(page.status, headers);
  response.end(request.method === 'HEAD' ? undefined : body);
}

async function pageFor(request: IncomingMessage, pages: Pages): Promise<AdminResponse> {
  const [path = '', params] = (request.url ?? '').split('?', 2);
  const handler = pages.get(path);
  if (handler === undefined) return { status: 404, contentType: TEXT, body: 'not found\n' };
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return { status: 405, contentType: TEXT, body: 'GET or HEAD only\n' };
  }
  try {
    return await handler(new URLSearchParams(params));
  } catch (error) {
    return { status: 500, contentType: TEXT, body: `${messageOf(error)}\n` };
  }
}
