/** `dns64 [PREFIX] { … }`: AAAA records made from A records, for clients with IPv6 only. */
import { type Cidr, parseCidr } from '../../base/address.ts';
import { ConfigError } from '../../base/errors.ts';
import {
  badValue,
  cidrArg,
  maxArgs,
  noArgs,
  oneArg,
  readOptions,
} from '../../config/corefile/args.ts';
import type { Block, Directive, Line, Token } from '../../config/corefile/types.ts';
import { perServer } from '../../query/per-server.ts';
import type { Plugin } from '../../query/plugin.ts';
import type { Services } from '../../query/services/services.ts';
import { dns64Handler } from './handler.ts';

/** The well-known prefix (RFC 6052 §2.1). */
const DEFAULT_PREFIX = '64:ff9b::/96';
/** RFC 6052 §2.2. */
const PREFIX_LENGTHS = [32, 40, 48, 56, 64, 96];

/** Throws ConfigError for a prefix whose length RFC 6052 §2.2 does not allow, and for two prefixes in one use. */
export function setup(directive: Directive, _block: Block, services: Services): Plugin {
  const settings: Settings = { prefix: undefined, translateAll: false, allowIpv4: false };
  // Of several uses the last prefix is effective, and every option of any use, as in CoreDNS.
  for (const line of directive.uses) readUse(line, settings);
  const { prefix, translateAll, allowIpv4 } = settings;
  const { metrics } = services;
  const handle = dns64Handler({
    prefix: prefix ?? (parseCidr(DEFAULT_PREFIX) as Cidr),
    translateAll,
    allowIpv4,
    services,
    translated: perServer((server) =>
      metrics.counter('coredns_dns64_requests_translated_total', { server }),
    ),
  });
  return { name: 'dns64', handle };
}

interface Settings {
  prefix: Cidr | undefined;
  translateAll: boolean;
  allowIpv4: boolean;
}

function readUse(line: Line, settings: Settings): void {
  let prefix = maxArgs(line, 1)[0];
  readOptions(line, {
    prefix: (option) => {
      if (prefix !== undefined)
        throw new ConfigError(option.name.place, 'the prefix is given twice: remove one');
      prefix = oneArg(option);
    },
    translate_all: (option) => {
      noArgs(option);
      settings.translateAll = true;
    },
    allow_ipv4: (option) => {
      noArgs(option);
      settings.allowIpv4 = true;
    },
  });
  if (prefix !== undefined) settings.prefix = prefixArg(prefix);
}

function prefixArg(token: Token): Cidr {
  const cidr = cidrArg(token);
  if (cidr.family !== 6 || !PREFIX_LENGTHS.includes(cidr.prefix))
    throw badValue(token, `an IPv6 network of length ${PREFIX_LENGTHS.join(', ')}`);
  return cidr;
}
