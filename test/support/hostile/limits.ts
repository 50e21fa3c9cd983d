/** Memory limits that attacks are tried in. */
const MEBI = 2 ** 20;
/** Where no limit is set: about what our flags let Node take. */
const UNLIMITED_BYTES = 512 * MEBI;
const NONE = 'none';

/** Of `npm run hostile`, MiB or "none"; undefined in `npm test`, where each attack has one. */
export const LONG_LIMITS = process.env.NODENS_HOSTILE_LIMITS?.split(',');

/** How a test starts an agent within `limit`. */
export function within(limit: string): { readonly limitMebi?: number } {
  return limit === NONE ? {} : { limitMebi: Number(limit) };
}

/** What an agent within `limit` must not exceed, bytes. */
export function boundBytes(limit: string): number {
  return limit === NONE ? UNLIMITED_BYTES : Number(limit) * MEBI;
}

export function where(limit: string): string {
  return limit === NONE ? 'no limit' : `in ${limit} MiB`;
}
