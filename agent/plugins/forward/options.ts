/** The options in braces of a forward line. */
import { addressBytes, familyOf, formatAddress, isWildcard } from '../../base/address.ts';
import { ConfigError } from '../../base/errors.ts';
import {
  argsBetween,
  choiceArg,
  durationArg,
  intArg,
  minArgs,
  noArgs,
  type Options,
  oneArg,
  readOptions,
  zonesOf,
} from '../../config/corefile/args.ts';
import type { Block, Line, Token } from '../../config/corefile/types.ts';
import { RCODE, rcodeNumber } from '../../dns/iana.ts';
import { nameFromText } from '../../dns/name.ts';
import type { Files } from '../../query/services/files.ts';
import type { Policy, UpstreamGroupOptions } from '../../query/services/upstreams.ts';
import { readTlsFiles, serverName, type TlsOptions } from './tls.ts';

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Settings of the upstream group that come from options, not from the targets. */
export type GroupSettings = Writable<
  Omit<UpstreamGroupOptions, 'name' | 'upstreams' | 'names' | 'resolvers' | 'isOwn'>
>;

/** Options of one forward line, with the defaults of those that are absent. */
export interface ForwardOptions {
  readonly group: GroupSettings;
  /** Zones, wire form, that are left to later plugins. */
  readonly except: Uint8Array[];
  /** Rcodes on which the block's next forward is asked. */
  readonly nextRcodes: Set<number>;
  nextOnNoData: boolean;
  readonly tls: Writable<TlsOptions>;
  /** Arguments of `resolver`. */
  readonly resolvers: Token[];
}

const ROOT = Uint8Array.of(0);

function defaults(): ForwardOptions {
  return {
    group: {
      policy: 'random',
      forceTcp: false,
      preferUdp: false,
      maxFails: 2,
      healthCheck: { intervalMs: 500, recursionDesired: true, domain: ROOT },
      expireMs: 10_000,
      maxConcurrent: 0,
      maxConnectAttempts: 0,
      failFastAllUnhealthy: false,
      failoverRcodes: [],
    },
    except: [],
    nextRcodes: new Set(),
    nextOnNoData: false,
    tls: { files: {}, serverName: undefined, httpMethod: 'POST', place: undefined },
    resolvers: [],
  };
}

/** Options of one forward line. Throws ConfigError at the first that is invalid, or unknown. */
export function readForwardOptions(line: Line, block: Block, files: Files): ForwardOptions {
  const options = defaults();
  readOptions(line, {
    ...transportOptions(options.group),
    ...healthOptions(options.group, block),
    ...routingOptions(options, block),
    ...connectionOptions(options.group),
    ...tlsOptions(options.tls, files),
    ...spoofingOptions(options.group),
    source_address: (option) => {
      options.group.sourceAddress = addressArg(oneArg(option));
    },
    endpoints: (option) => {
      options.group.endpointsName = nameFromText(zonesOf([oneArg(option)], block)[0] ?? '.');
    },
    resolver: (option) => void options.resolvers.push(...minArgs(option, 1)),
  });
  return options;
}

function transportOptions(group: GroupSettings): Options {
  return {
    force_tcp: (option) => {
      noArgs(option);
      group.forceTcp = true;
    },
    prefer_udp: (option) => {
      noArgs(option);
      group.preferUdp = true;
    },
    max_concurrent: (option) => {
      group.maxConcurrent = intArg(oneArg(option), { min: 0 });
    },
    max_connect_attempts: (option) => {
      group.maxConnectAttempts = intArg(oneArg(option), { min: 0, max: 1_000 });
    },
    policy: (option) => {
      const policies: readonly Policy[] = ['random', 'round_robin', 'sequential'];
      group.policy = choiceArg(oneArg(option), policies);
    },
  };
}

function connectionOptions(group: GroupSettings): Options {
  return {
    expire: (option) => {
      group.expireMs = durationArg(oneArg(option));
    },
    max_age: (option) => {
      group.maxAgeMs = durationArg(oneArg(option));
    },
    max_idle_conns: (option) => {
      group.maxIdleConnections = intArg(oneArg(option), { min: 0, max: 1_000_000 });
    },
    read_timeout: (option) => {
      group.readTimeoutMs = durationArg(oneArg(option), { minMs: 10 });
    },
    no_edns: (option) => {
      noArgs(option);
      group.noEdns = true;
    },
  };
}

function tlsOptions(tls: Writable<TlsOptions>, files: Files): Options {
  return {
    tls: (option) => {
      tls.files = readTlsFiles(option, files);
      tls.place = option.name;
    },
    tls_servername: (option) => {
      tls.serverName = serverName(oneArg(option));
      tls.place = option.name;
    },
    doh_method: (option) => {
      tls.httpMethod = choiceArg(oneArg(option), ['GET', 'POST']);
      tls.place = option.name;
    },
  };
}

function spoofingOptions(group: GroupSettings): Options {
  return {
    case_randomization: (option) => {
      noArgs(option);
      group.randomizeCase = true;
    },
    socket_per_query: (option) => {
      noArgs(option);
      group.socketPerQuery = true;
    },
  };
}

function healthOptions(group: GroupSettings, block: Block): Options {
  return {
    max_fails: (option) => {
      group.maxFails = intArg(oneArg(option), { min: 0, max: 1_000_000 });
    },
    health_check: (option) => {
      group.healthCheck = healthCheck(option, block);
    },
    failfast_all_unhealthy_upstreams: (option) => {
      noArgs(option);
      group.failFastAllUnhealthy = true;
    },
  };
}

function routingOptions(options: ForwardOptions, block: Block): Options {
  return {
    except: (option) => {
      options.except.push(...zonesOf(minArgs(option, 1), block).map(nameFromText));
    },
    next: (option) => {
      for (const token of minArgs(option, 1)) options.nextRcodes.add(rcodeArg(token));
    },
    next_on_nodata: (option) => {
      noArgs(option);
      options.nextOnNoData = true;
    },
    failover: (option) => {
      const rcodes = minArgs(option, 1).map(rcodeArg);
      const at = rcodes.indexOf(RCODE.NOERROR);
      const success = option.args[at];
      if (success !== undefined)
        throw new ConfigError(success.place, 'failover on NOERROR would never take an answer');
      options.group.failoverRcodes = [...options.group.failoverRcodes, ...rcodes];
    },
  };
}

function rcodeArg(token: Token): number {
  const rcode = rcodeNumber(token.text);
  if (rcode === undefined)
    throw new ConfigError(token.place, `"${token.text}" is not a response code like NXDOMAIN`);
  return rcode;
}

/** `health_check DURATION [no_rec] [domain FQDN]`. */
function healthCheck(option: Line, block: Block): GroupSettings['healthCheck'] {
  const [interval, ...rest] = argsBetween(option, 1, 4);
  // A shorter interval would load an upstream that is in trouble.
  const intervalMs = durationArg(interval as Token, { minMs: 10 });
  let recursionDesired = true;
  let domain: Uint8Array = ROOT;
  for (let token = rest.shift(); token !== undefined; token = rest.shift()) {
    const word = choiceArg(token, ['no_rec', 'domain']);
    if (word === 'no_rec') recursionDesired = false;
    else domain = domainArg(rest.shift(), token, block);
  }
  return { intervalMs, recursionDesired, domain };
}

function domainArg(token: Token | undefined, before: Token, block: Block): Uint8Array {
  if (token === undefined) throw new ConfigError(before.place, 'domain needs a name after it');
  const [zone = '.'] = zonesOf([token], block);
  return nameFromText(zone);
}

/** One address in canonical text; a wildcard would say nothing. */
function addressArg(token: Token): string {
  if (familyOf(token.text) === undefined || token.text.includes('%') || isWildcard(token.text))
    throw new ConfigError(token.place, `"${token.text}" is not an IP address to send from`);
  return formatAddress(addressBytes(token.text));
}
