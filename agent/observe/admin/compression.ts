/** Compresses pages for clients that accept it: a page of metrics shrinks to about a tenth. */
import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { constants, gzip } from 'node:zlib';

const compress = promisify(gzip);
/** Shorter bodies fit into a few packets as they are. */
const MIN_BYTES = 8 * 1_024;

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
    result = compress(Buffer.concat(body), { level: constants.Z_BEST_SPEED }).then((bytes) => [
      bytes,
    ]);
    compressed.set(body, result);
  }
  return result;
}
