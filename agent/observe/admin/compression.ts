/** Compresses long pages for clients that accept it: a page of metrics shrinks to about a tenth. */
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { constants, createGzip } from 'node:zlib';

/**
 * Shorter bodies are sent as they are: to set up zlib and to wait for its thread costs the event loop more than to write
 * them, half a millisecond for 25 kB.
 */
export const MIN_BYTES = 64 * 1_024;

/** Bodies that have been compressed; clients that share a rendering share its compression. */
const compressed = new WeakMap<readonly Uint8Array[], Promise<readonly Uint8Array[]>>();

/** Whether the client accepts gzip (RFC 9110 §12.5.3). */
export function acceptsGzip({ headers }: IncomingMessage): boolean {
  const codings = String(headers['accept-encoding'] ?? '').toLowerCase();
  return codings
    .split(',')
    .some((coding) => /^\s*(gzip|x-gzip|\*)\s*(;(?!\s*q=0(\.0*)?\s*$).*)?$/.test(coding));
}

/**
 * `body` compressed by a thread of the pool, so that DNS does not wait for it; undefined for a body that is not worth
 * it. Rejects if there is no memory for it.
 */
export function gzipped(body: readonly Uint8Array[]): Promise<readonly Uint8Array[]> | undefined {
  if (body.reduce((sum, part) => sum + part.length, 0) < MIN_BYTES) return undefined;
  let result = compressed.get(body);
  if (result === undefined) {
    result = compress(body);
    compressed.set(body, result);
  }
  return result;
}

/** Part by part: to copy a body of megabytes would delay DNS. */
async function compress(body: readonly Uint8Array[]): Promise<readonly Uint8Array[]> {
  const packed: Uint8Array[] = [];
  const gzip = createGzip({ level: constants.Z_BEST_SPEED });
  for await (const part of Readable.from(body).pipe(gzip)) packed.push(part as Uint8Array);
  return packed;
}
