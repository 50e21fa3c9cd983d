/** Query IDs from a cryptographic generator, drawn in batches (RFC 5452 §9.2). */
import { randomFillSync } from 'node:crypto';
import { InternalError } from '../../base/errors.ts';

const BATCH_IDS = 512;
const ID_SPACE = 0x1_0000;

/** Returns a number from 0 to 65,535 that an off-path forger cannot predict. */
export type IdSource = () => number;

/** Uniform, unpredictable 16-bit numbers; `fill` overwrites an array with random bits. */
export function randomIds(fill: (ids: Uint16Array) => void = randomFillSync): IdSource {
  const ids = new Uint16Array(BATCH_IDS);
  let next = BATCH_IDS;
  return () => {
    if (next === BATCH_IDS) {
      fill(ids);
      next = 0;
    }
    return ids[next++] as number;
  };
}

/** An ID that is not a key of `taken`. Throws InternalError if all are. */
export function freeId(
  ids: IdSource,
  taken: Pick<ReadonlyMap<number, unknown>, 'has' | 'size'>,
): number {
  if (taken.size >= ID_SPACE) throw new InternalError('every query ID of a socket is in flight');
  let id = ids();
  while (taken.has(id)) id = ids();
  return id;
}
