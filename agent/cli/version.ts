/** The version, inserted by the build; the same as in `package.json`. */
declare const NODENS_VERSION: string | undefined;

/** Semantic version of this build; `0.0.0` when run from source. */
export const VERSION: string = typeof NODENS_VERSION === 'string' ? NODENS_VERSION : '0.0.0';
