/** `cache [TTL] [ZONES…] { … }`: reads the directive into CacheOptions. Syntax and defaults as in CoreDNS 1.14. */
import { ConfigError, type Place } from '../../base/errors.ts';
import { DEFAULT_CLUSTER_DOMAIN } from '../../base/resolv-conf.ts';
import {
  argsBetween,
  badValue,
  choiceArg,
  durationArg,
  intArg,
  lowerCase,
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
import { isSubdomain, nameFromText, nameToText } from '../../dns/name.ts';
import type { Plugin } from '../../query/plugin.ts';
import type {
  CacheOptions,
  ClusterOptions,
  LastKnownGoodOptions,
  PrefetchOptions,
  ServeStaleOptions,
  StaleMode,
  TtlBounds,
} from '../../query/services/cache.ts';
import type { Services } from '../../query/services/services.ts';
import { clusterDomains } from './cluster.ts';
import { handler } from './handler.ts';

type Writable<T> = { -readonly [K in keyof T]: T[K] };

const CAPACITY = 9_984;
const MIN_TTL_SECONDS = 5;
const MAX_SUCCESS_TTL_SECONDS = 3_600;
const MAX_DENIAL_TTL_SECONDS = 1_800;
const CLUSTER_DENIAL_TTL_SECONDS = 5;
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
const LAST_KNOWN_GOOD_MS = 3_600_000;
const MAX_LAST_KNOWN_GOOD_MS = 86_400_000;
const KINDS = ['success', 'denial'] as const;
const POLICIES = ['prefer_positive'] as const;

/** What a `cache` directive says. */
export interface CacheConfig {
  readonly options: CacheOptions;
  /** Zones to cache, presentation format: the block's own unless the directive names some. */
  readonly zones: readonly string[];
  /** Whether `zones` may be narrower than the block's zones. */
  readonly isNarrowed: boolean;
}

/** Opens the block's cache. Throws ConfigError for a second use and for invalid options. */
export function setup(directive: Directive, block: Block, services: Services): Plugin {
  const domains = clusterDomains(services.files);
  const { options, zones, isNarrowed } = readCache(directive, block, domains);
  const cache = services.cache.open(services.block, zones.join(','), options);
  return {
    name: 'cache',
    handle: handler(cache, isNarrowed ? zones.map(nameFromText) : undefined),
  };
}

/** The options of a `cache` directive; `domains` are the cluster's, presentation format. Throws ConfigError. */
export function readCache(
  directive: Directive,
  block: Block,
  domains: readonly string[] = [DEFAULT_CLUSTER_DOMAIN],
): CacheConfig {
  const line = onlyUse(directive);
  const hasTtl = /^[+-]?\d+$/.test(line.args[0]?.text ?? '');
  const zoneTokens = hasTtl ? line.args.slice(1) : line.args;
  const options = defaults();
  const clusterNames = domains.map(nameFromText);
  let saysDenialTtl = false;
  let probePlace = line.name.place;
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
      saysDenialTtl = option.args.length > 1;
      options.denial = readKeep(option, options.denial, 0);
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
    last_known_good: (option) => {
      options.lastKnownGood = readLastKnownGood(option, block, clusterNames);
    },
    nxdomain_cut: (option) => {
      options.nxdomainCut = zonesOf(option.args, block).map(nameFromText);
    },
    nxdomain_probe: (option) => {
      options.nxdomainProbe = zonesOf(option.args, block).map(nameFromText);
      probePlace = option.name.place;
    },
    disable: (option) => readDisable(option, block, options),
    keepttl: (option) => {
      noArgs(option);
      options.keepTtl = true;
    },
  });
  refuseCutAndProbe(options, probePlace);
  options.cluster = clusterOptions(clusterNames, options.denial, saysDenialTtl);
  return { options, zones: zonesOf(zoneTokens, block), isNarrowed: zoneTokens.length > 0 };
}

/** Unless the Corefile sets a lifetime for denials, those of cluster names live 5 s at most; never longer than set. */
function clusterOptions(
  domains: readonly Uint8Array[],
  denial: TtlBounds,
  isSaid: boolean,
): ClusterOptions {
  if (isSaid) return { domains, denial };
  const maxTtlSeconds = Math.min(denial.maxTtlSeconds, CLUSTER_DENIAL_TTL_SECONDS);
  return { domains, denial: { ...denial, maxTtlSeconds, minTtlSeconds: 0 } };
}

function defaults(): Writable<CacheOptions> {
  const keep = { capacity: CAPACITY, minTtlSeconds: MIN_TTL_SECONDS };
  const denial = { ...keep, maxTtlSeconds: MAX_DENIAL_TTL_SECONDS };
  return {
    success: { ...keep, maxTtlSeconds: MAX_SUCCESS_TTL_SECONDS },
    denial,
    servfailMs: SERVFAIL_MS,
    disableSuccess: [],
    disableDenial: [],
    keepTtl: false,
    prefetch: undefined,
    serveStale: undefined,
    lastKnownGood: undefined,
    nxdomainCut: [],
    nxdomainProbe: [],
    cluster: { domains: [], denial },
  };
}

/** `least`: minimum of the longest TTL; 0 if "store nothing" is a valid setting. */
function readKeep(option: Line, before: TtlBounds, least = 1): TtlBounds {
  const [capacity, maxTtl, minTtl] = argsBetween(option, 1, 3);
  const { maxTtlSeconds, minTtlSeconds } = before;
  return {
    capacity: intArg(capacity as Token, { min: 0 }),
    maxTtlSeconds: maxTtl === undefined ? maxTtlSeconds : intArg(maxTtl, { min: least }),
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
    STALE_MODES.some((mode) => mode === token?.text.toLowerCase());
  const windowToken = args.length > 0 && !isMode(args[0]) ? args.shift() : undefined;
  const windowMs = windowToken === undefined ? STALE_WINDOW_MS : durationArg(windowToken);
  const modeToken = args.shift();
  const mode = modeToken === undefined ? 'immediate' : choiceArg(lowerCase(modeToken), STALE_MODES);
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

/** `nxdomain_cut` believes a denial without the checks of `nxdomain_probe`, so a name is in one of them only. */
function refuseCutAndProbe({ nxdomainCut, nxdomainProbe }: CacheOptions, place: Place): void {
  const zone = nxdomainProbe.find((probed) =>
    nxdomainCut.some((cut) => isSubdomain(probed, cut) || isSubdomain(cut, probed)),
  );
  if (zone === undefined) return;
  const text = nameToText(zone);
  throw new ConfigError(place, `nxdomain_cut has ${text} as well: name it in one of the two`);
}

/** `last_known_good [DURATION] [ZONES…]`: refused for cluster domains, whose names are created and removed normally. */
function readLastKnownGood(
  option: Line,
  block: Block,
  domains: readonly Uint8Array[],
): LastKnownGoodOptions {
  const [first, ...rest] = option.args;
  const hasDuration = first !== undefined && /^\d/.test(first.text) && !first.text.includes('/');
  const windowMs = hasDuration
    ? durationArg(first, { minMs: 1, maxMs: MAX_LAST_KNOWN_GOOD_MS })
    : LAST_KNOWN_GOOD_MS;
  const zones = zonesOf(hasDuration ? rest : option.args, block);
  for (const zone of zones) {
    const domain = domains.find((each) => isSubdomain(nameFromText(zone), each));
    if (domain === undefined) continue;
    const where = `${zone} is in the cluster domain ${nameToText(domain)}`;
    throw new ConfigError(
      option.name.place,
      `${where}, whose names may be removed at any time: last_known_good is for other zones`,
    );
  }
  return { windowMs, zones: zones.map(nameFromText) };
}

function readDisable(option: Line, block: Block, options: Writable<CacheOptions>): void {
  const [kind, ...zoneTokens] = minArgs(option, 1);
  const zones = zonesOf(zoneTokens, block).map(nameFromText);
  if (choiceArg(kind as Token, KINDS) === 'success') options.disableSuccess = zones;
  else options.disableDenial = zones;
}
