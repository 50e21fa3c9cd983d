/** `cache [TTL] [ZONES…] { … }`: reads the directive into CacheOptions. Syntax and defaults as the peer's 1.14. */
import {
  argsBetween,
  badValue,
  choiceArg,
  durationArg,
  intArg,
  maxArgs,
  minArgs,
  noArgs,
  oneArg,
  onlyUse,
  percentArg,
  readOptions,
  zonesOf,
} from '../../config/corefile/args.ts';
import type { Block, Directive, Line, Token } from '../../config/corefile/types.ts';
import { nameFromText } from '../../dns/name.ts';
import type { Plugin } from '../../query/plugin.ts';
import type {
  CacheOptions,
  KeepOptions,
  PrefetchOptions,
  ServeStaleOptions,
  Services,
  StaleMode,
} from '../../query/services.ts';
import { handler } from './handler.ts';

type Writable<T> = { -readonly [K in keyof T]: T[K] };

const CAPACITY = 9_984;
const MIN_TTL_SECONDS = 5;
const MAX_SUCCESS_TTL_SECONDS = 3_600;
const MAX_DENIAL_TTL_SECONDS = 1_800;
const SERVFAIL_MS = 1_000;
const MAX_SERVFAIL_MS = 300_000;
const PREFETCH_WINDOW_MS = 60_000;
const PREFETCH_PERCENTAGE = 10;
const STALE_WINDOW_MS = 3_600_000;
const STALE_TTL_SECONDS = 30;
const VERIFY_MS = 200;
const RECHECK_MS = 1_000;
const MAX_RECHECK_MS = 300_000;
const STALE_MODES: readonly StaleMode[] = ['immediate', 'verify'];
const KINDS = ['success', 'denial'] as const;
const POLICIES = ['prefer_positive'] as const;

export interface CacheConfig {
  readonly options: CacheOptions;
  /** Zones it caches for, presentation format: the block's own unless the directive says. */
  readonly zones: readonly string[];
  /** Whether `zones` may be narrower than what the block is asked for. */
  readonly isNarrowed: boolean;
}

export function setup(directive: Directive, block: Block, services: Services): Plugin {
  const { options, zones, isNarrowed } = readCache(directive, block);
  const cache = services.cache.open(services.block, zones.join(','), options);
  return {
    name: 'cache',
    handle: handler(cache, isNarrowed ? zones.map(nameFromText) : undefined),
  };
}

/** The options of a `cache` directive. Throws ConfigError. */
export function readCache(directive: Directive, block: Block): CacheConfig {
  const line = onlyUse(directive);
  const hasTtl = /^[+-]?\d+$/.test(line.args[0]?.text ?? '');
  const zoneTokens = hasTtl ? line.args.slice(1) : line.args;
  const options = defaults();
  if (hasTtl) {
    const maxTtlSeconds = intArg(line.args[0] as Token, { min: 1 });
    options.success = { ...options.success, maxTtlSeconds };
    options.denial = { ...options.denial, maxTtlSeconds };
  }
  readOptions(line, {
    success: (option) => {
      options.success = readKeep(option, options.success);
    },
    denial: (option) => {
      options.denial = readKeep(option, options.denial);
    },
    prefetch: (option) => {
      options.prefetch = readPrefetch(option);
    },
    serve_stale: (option) => {
      options.serveStale = readServeStale(option);
    },
    serve_stale_policy: (option) => void choiceArg(oneArg(option), POLICIES),
    servfail: (option) => {
      options.servfailMs = durationArg(oneArg(option), { maxMs: MAX_SERVFAIL_MS });
    },
    disable: (option) => readDisable(option, block, options),
    keepttl: (option) => {
      noArgs(option);
      options.keepTtl = true;
    },
  });
  return { options, zones: zonesOf(zoneTokens, block), isNarrowed: zoneTokens.length > 0 };
}

function defaults(): Writable<CacheOptions> {
  const keep = { capacity: CAPACITY, minTtlSeconds: MIN_TTL_SECONDS };
  return {
    success: { ...keep, maxTtlSeconds: MAX_SUCCESS_TTL_SECONDS },
    denial: { ...keep, maxTtlSeconds: MAX_DENIAL_TTL_SECONDS },
    servfailMs: SERVFAIL_MS,
    disableSuccess: [],
    disableDenial: [],
    keepTtl: false,
    prefetch: undefined,
    serveStale: undefined,
  };
}

function readKeep(option: Line, before: KeepOptions): KeepOptions {
  const [capacity, maxTtl, minTtl] = argsBetween(option, 1, 3);
  const { maxTtlSeconds, minTtlSeconds } = before;
  return {
    capacity: intArg(capacity as Token, { min: 0 }),
    maxTtlSeconds: maxTtl === undefined ? maxTtlSeconds : intArg(maxTtl, { min: 1 }),
    minTtlSeconds: minTtl === undefined ? minTtlSeconds : intArg(minTtl, { min: 0 }),
  };
}

function readPrefetch(option: Line): PrefetchOptions | undefined {
  const [amount, window, percentage] = argsBetween(option, 1, 3);
  const read: PrefetchOptions = {
    amount: intArg(amount as Token, { min: 0 }),
    windowMs: window === undefined ? PREFETCH_WINDOW_MS : durationArg(window),
    percentage:
      percentage === undefined ? PREFETCH_PERCENTAGE : percentArg(percentage, { min: 10, max: 90 }),
  };
  return read.amount === 0 ? undefined : read;
}

/** `serve_stale [DUR] [immediate [TTL [RECHECK]] | verify [TIMEOUT [TTL [RECHECK]]]]`. */
function readServeStale(option: Line): ServeStaleOptions {
  const args = [...maxArgs(option, 5)];
  const isMode = (token: Token | undefined): boolean =>
    STALE_MODES.some((mode) => mode === token?.text);
  const windowToken = args.length > 0 && !isMode(args[0]) ? args.shift() : undefined;
  const windowMs = windowToken === undefined ? STALE_WINDOW_MS : durationArg(windowToken);
  const modeToken = args.shift();
  const mode = modeToken === undefined ? 'immediate' : choiceArg(modeToken, STALE_MODES);
  const timeout = mode === 'verify' ? args.shift() : undefined;
  const [ttl, recheck, extra] = args;
  if (extra !== undefined) throw badValue(extra, `an argument of ${mode}`);
  return {
    windowMs,
    mode,
    budgetMs: budgetOf(mode, timeout),
    ttlSeconds:
      ttl === undefined
        ? STALE_TTL_SECONDS
        : Math.ceil(durationArg(ttl, { bareSeconds: true }) / 1_000),
    recheckMs: recheck === undefined ? RECHECK_MS : durationArg(recheck, { maxMs: MAX_RECHECK_MS }),
  };
}

function budgetOf(mode: StaleMode, timeout: Token | undefined): number {
  if (mode === 'immediate') return 0;
  return timeout === undefined ? VERIFY_MS : durationArg(timeout);
}

function readDisable(option: Line, block: Block, options: Writable<CacheOptions>): void {
  const [kind, ...zoneTokens] = minArgs(option, 1);
  const zones = zonesOf(zoneTokens, block).map(nameFromText);
  if (choiceArg(kind as Token, KINDS) === 'success') options.disableSuccess = zones;
  else options.disableDenial = zones;
}
