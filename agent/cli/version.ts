/** The version, put in by the build; `package.json` says the same. */
declare const NODENS_VERSION: string | undefined;

/** Semantic version of this build; `0.0.0` when run from source. */
export const VERSION: string = typeof NODENS_VERSION === 'string' ? NODENS_VERSION : '0.0.0';
