/** `acl [ZONES…] { allow|block|filter|drop [type T…] [net CIDR…] }`: which clients may ask what. */
import { type Cidr, parseCidr } from '../../base/address.ts';
import { ConfigError } from '../../base/errors.ts';
import {
  badValue,
  cidrArg,
  lowerCase,
  readOptions,
  viewOf,
  zonesOf,
} from '../../config/corefile/args.ts';
import type { Block, Directive, Line, Token } from '../../config/corefile/types.ts';
import { typeNumber } from '../../dns/iana.ts';
import { nameFromText } from '../../dns/name.ts';
import { perServer } from '../../query/per-server.ts';
import type { Plugin } from '../../query/plugin.ts';
import type { Logger } from '../../query/services/log.ts';
import type { Services } from '../../query/services/services.ts';
import { type Action, aclHandler, type Policy, type Rule } from './handler.ts';

/** Every use is a rule, tried in the order of the file. Throws ConfigError for unknown types, networks and sections. */
export function setup(directive: Directive, block: Block, services: Services): Plugin {
  const rules = directive.uses.map((line) => readRule(line, block, services.log));
  const { metrics } = services;
  const view = viewOf(block);
  const counters = perServer((server) => ({
    allowed: metrics.counter('coredns_acl_allowed_requests_total', { server, view }),
    of: (action: Exclude<Action, 'allow'>, zone: string) =>
      metrics.counter(SERIES[action], { server, zone, view }),
  }));
  return { name: 'acl', handle: aclHandler(rules, counters) };
}

const SERIES = {
  block: 'coredns_acl_blocked_requests_total',
  filter: 'coredns_acl_filtered_requests_total',
  drop: 'coredns_acl_dropped_requests_total',
} as const;

function readRule(line: Line, block: Block, log: Logger): Rule {
  const policies: Policy[] = [];
  const read = (action: Action) => (option: Line) => {
    policies.push(readPolicy(action, option, log));
  };
  const [allow, deny] = [read('allow'), read('block')];
  const options = { allow, block: deny, filter: read('filter'), drop: read('drop') };
  readOptions(line, options, true);
  if (policies.length === 0) warnOfNone(line.name, log);
  const zones = zonesOf(line.args, block);
  return { zones: zones.map((text) => ({ text, name: nameFromText(text) })), policies };
}

function warnOfNone({ place }: Token, log: Logger): void {
  const { file, line } = place;
  log.warn(
    { event: 'corefile-warning' },
    `${file}:${line}: acl without allow, block, filter or drop: every client may ask`,
  );
}

/** `type A AAAA net 10.0.0.0/8 fd00::/8`, in any order; a missing criterion matches everything. */
function readPolicy(action: Action, option: Line, log: Logger): Policy {
  const types: Token[] = [];
  const nets: Token[] = [];
  let list: Token[] | undefined;
  for (const token of option.args) {
    const section = lowerCase(token).text;
    if (section === 'type') list = types;
    else if (section === 'net') list = nets;
    else if (list === undefined) throw badValue(token, 'type or net');
    else list.push(token);
  }
  for (const [word, tokens] of [['type', types] as const, ['net', nets] as const]) {
    const said = option.args.find((token) => lowerCase(token).text === word);
    if (said !== undefined && tokens.length === 0)
      throw new ConfigError(said.place, `${word} needs at least one value`);
  }
  return { action, types: typesOf(types, log), nets: netsOf(nets) };
}

/** Undefined for every type: no type is given, or `*` is. `ANY` is the type 255, which clients do ask for. */
function typesOf(tokens: readonly Token[], log: Logger): ReadonlySet<number> | undefined {
  const named = tokens.filter(({ text }) => text !== '*');
  const types = new Set(named.map(typeArg));
  if (named.length === 0 || named.length < tokens.length) return undefined;
  for (const token of named) if (token.text.toUpperCase() === 'ANY') warnOfAny(token, log);
  return types;
}

/** Before version 0.2.0 `ANY` meant every type, and a policy may still rely on that. */
function warnOfAny({ place }: Token, log: Logger): void {
  const { file, line } = place;
  log.warn(
    { event: 'corefile-warning', option: 'type' },
    `${file}:${line}: acl: ANY means type 255 only, \`*\` means every type; write TYPE255 to avoid this warning`,
  );
}

function typeArg(token: Token): number {
  const type = typeNumber(token.text);
  if (type === undefined) throw badValue(token, 'a record type');
  return type;
}

function everywhere(): Cidr[] {
  return ['0.0.0.0/0', '::/0'].map((text) => parseCidr(text) as Cidr);
}

function netsOf(tokens: readonly Token[]): readonly Cidr[] | undefined {
  const nets = tokens.flatMap((token) => (token.text === '*' ? everywhere() : [cidrArg(token)]));
  return nets.length === 0 ? undefined : nets;
}
