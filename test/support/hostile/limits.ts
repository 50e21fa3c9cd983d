/** Memory limits of the attacks. */
const MEBI = 2 ** 20;
/** Without a limit: about the memory that our flags allow Node. */
const UNLIMITED_BYTES = 512 * MEBI;
const NONE = 'none';

/** Of `npm run hostile`, MiB or "none"; undefined in `npm test`, where each attack has its own. */
export const LONG_LIMITS = process.env.NODENS_HOSTILE_LIMITS?.split(',');

/** Options to start an agent within `limit`. */
export function within(limit: string): { readonly limitMebi?: number } {
  return limit === NONE ? {} : { limitMebi: Number(limit) };
}

/** Upper bound of the memory of an agent within `limit`, bytes. */
export function boundBytes(limit: string): number {
  return limit === NONE ? UNLIMITED_BYTES : Number(limit) * MEBI;
}

export function where(limit: string): string {
  return limit === NONE ? 'no limit' : `in ${limit} MiB`;
}
