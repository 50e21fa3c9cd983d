/** `edns0 local|nsid|subnet ACTION …`: EDNS options of the upstream query. */
import { addressBytes } from '../../base/address.ts';
import { ConfigError } from '../../base/errors.ts';
import { badValue, choiceArg, intArg } from '../../config/corefile/args.ts';
import type { Line, Token } from '../../config/corefile/types.ts';
import { putU16 } from '../../dns/header.ts';
import { EDNS_OPTION } from '../../dns/iana.ts';
import { askedEndpoint } from '../../query/asked.ts';
import type { Draft, Rule, Undo } from './draft.ts';

const ACTIONS = ['set', 'append', 'replace', 'unset'] as const;
type Action = (typeof ACTIONS)[number];

/** Data of an option; undefined if there is none for this query. */
type Value = (draft: Draft) => Buffer | undefined;

const NOTHING: Undo = {};

/** `args` are the words after `edns0`. Throws ConfigError for an unknown kind, action, option code or variable. */
export function edns0Rule(line: Line, args: readonly Token[]): Rule {
  const [kind, word, ...values] = args;
  if (kind === undefined || word === undefined)
    throw new ConfigError(line.name.place, 'edns0 needs local, nsid or subnet, and an action');
  const action = choiceArg({ ...word, text: word.text.toLowerCase() }, ACTIONS);
  // Options of an upstream's reply never reach the client, so there is nothing to revert.
  const rest = values.at(-1)?.text === 'revert' ? values.slice(0, -1) : values;
  const lower = { ...kind, text: kind.text.toLowerCase() };
  switch (choiceArg(lower, ['local', 'nsid', 'subnet'])) {
    case 'nsid':
      exactly(line, rest, 0);
      return rule(EDNS_OPTION.NSID, action, () => Buffer.alloc(0));
    case 'subnet':
      return subnetRule(line, action, rest);
    case 'local':
      return localRule(line, action, rest);
  }
}

function exactly(line: Line, values: readonly Token[], count: number): void {
  if (values.length !== count)
    throw new ConfigError(
      values[count]?.place ?? line.name.place,
      `this edns0 rule takes ${count} values, got ${values.length}`,
    );
}

function rule(code: number, action: Action, value: Value): Rule {
  return (draft) => {
    const existing = draft.option(code);
    if (action === 'unset') draft.unsetOption(code);
    if (action === 'unset') return existing && NOTHING;
    if (action === 'replace' && existing === undefined) return undefined;
    const data = action === 'append' && existing !== undefined ? existing : value(draft);
    if (data === undefined) return undefined;
    draft.setOption(code, data);
    return NOTHING;
  };
}

function subnetRule(line: Line, action: Action, values: readonly Token[]): Rule {
  if (action === 'unset') exactly(line, values, 0);
  else exactly(line, values, 2);
  const [v4, v6] = values;
  const bits4 = v4 === undefined ? 0 : intArg(v4, { min: 0, max: 32 });
  const bits6 = v6 === undefined ? 0 : intArg(v6, { min: 0, max: 128 });
  return rule(EDNS_OPTION.ECS, action, ({ query }) => {
    if (query.isInternal) return undefined;
    const { address, family } = query.client;
    return subnet(family, addressBytes(address), family === 4 ? bits4 : bits6);
  });
}

/** FAMILY, SOURCE and SCOPE PREFIX-LENGTH, and as many bytes as the prefix needs (RFC 7871 §6). */
function subnet(family: 4 | 6, address: Uint8Array, bits: number): Buffer {
  const length = Math.ceil(bits / 8);
  const data = Buffer.alloc(4 + length);
  putU16(data, 0, family === 4 ? 1 : 2);
  data[2] = bits;
  data.set(address.subarray(0, length), 4);
  const spare = length * 8 - bits;
  if (spare > 0) data[3 + length] = (data[3 + length] as number) & (0xff << spare);
  return data;
}

function localRule(line: Line, action: Action, values: readonly Token[]): Rule {
  exactly(line, values, action === 'unset' ? 1 : 2);
  const [codeToken, data] = values as readonly [Token, Token?];
  const code = Number(codeToken.text);
  if (!/^(0x[\da-f]+|\d+)$/i.test(codeToken.text) || code > 0xffff)
    throw badValue(codeToken, 'an option code up to 0xffff');
  return rule(code, action, data === undefined ? () => undefined : dataOf(data));
}

function dataOf(token: Token): Value {
  const { text } = token;
  const variable = /^\{(.*)\}$/.exec(text)?.[1];
  if (variable !== undefined) return variableOf(token, variable);
  const isHex = text.startsWith('0x');
  if (isHex && !/^0x([\da-f]{2})*$/i.test(text)) throw badValue(token, 'whole bytes in hex');
  const data = isHex ? Buffer.from(text.slice(2), 'hex') : Buffer.from(text, 'utf8');
  return () => data;
}

function variableOf(token: Token, name: string): Value {
  const known = Object.hasOwn(VARIABLES, name) ? VARIABLES[name] : undefined;
  if (known !== undefined) return known;
  if (!/^[^/{}]+\/[^{}]+$/.test(name))
    throw badValue(token, `a variable: {${Object.keys(VARIABLES).join('}, {')}} or {plugin/label}`);
  return ({ query }) => {
    const text = query.metadata?.get(name) ?? '';
    return text === '' ? undefined : Buffer.from(text, 'utf8');
  };
}

const VARIABLES: Readonly<Record<string, Value>> = {
  qname: (draft) => Buffer.from(draft.name, 'utf8'),
  qtype: (draft) => u16Of(draft.type),
  client_ip: ({ query }) => (query.isInternal ? undefined : bytesOf(query.client.address)),
  client_port: ({ query }) => (query.isInternal ? undefined : u16Of(query.client.port)),
  protocol: ({ query }) => Buffer.from(query.transport),
  server_ip: ({ query }) => {
    const asked = askedEndpoint(query);
    return asked && bytesOf(asked.address);
  },
  server_port: ({ query }) => {
    const asked = askedEndpoint(query);
    return asked && u16Of(asked.port);
  },
};

const bytesOf = (address: string): Buffer => Buffer.from(addressBytes(address));

function u16Of(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  putU16(bytes, 0, value);
  return bytes;
}
