/** `bind ADDR|IFACE… { except ADDR|IFACE… }`: the node's addresses on which a block is served. */
import { addressBytes, familyOf, formatAddress } from '../../base/address.ts';
import { ConfigError } from '../../base/errors.ts';
import { badValue, minArgs, readOptions } from '../../config/corefile/args.ts';
import type { Block, Directive, Line, Token } from '../../config/corefile/types.ts';
import type { Plugin } from '../../query/plugin.ts';

/** The node's addresses by interface name; v6 link-local ones include their `%zone`. */
export type Interfaces = () => ReadonlyMap<string, readonly string[]>;

const WILDCARDS: Readonly<Record<string, 4 | 6>> = { '0.0.0.0': 4, '::': 6 };

/** Only validates: `bindAddresses` selects the addresses before chains are built. */
export function setup(directive: Directive): Plugin {
  for (const use of directive.uses) readUse(use);
  return { name: 'bind' };
}

/**
 * Addresses to listen on for `block`, each once, in canonical form and in the order written; none means every address
 * of the node, because no `bind` restricts it. `0.0.0.0` and `::` are kept, unless an `except` of the same use excludes
 * some addresses. Throws ConfigError for a word that is neither an address nor an interface, for an interface without
 * addresses and if `except` leaves none.
 */
export function bindAddresses(block: Block, interfaces: Interfaces): string[] {
  const uses = block.directives.find((directive) => directive.name === 'bind')?.uses ?? [];
  return [...new Set(uses.flatMap((use) => addressesOf(use, interfaces)))];
}

interface Use {
  readonly targets: readonly Token[];
  readonly except: readonly Token[];
}

function readUse(use: Line): Use {
  const except: Token[] = [];
  readOptions(use, { except: (option) => except.push(...minArgs(option, 1)) });
  return { targets: minArgs(use, 1), except };
}

function addressesOf(use: Line, interfaces: Interfaces): string[] {
  const { targets, except } = readUse(use);
  const excluded = new Set(except.flatMap((token) => resolve(token, interfaces)));
  const all = targets.flatMap((token) => resolve(token, interfaces));
  if (excluded.size === 0) return all;
  const left = all
    .flatMap((address) => withoutWildcard(address, interfaces))
    .filter((address) => !excluded.has(address));
  if (left.length === 0)
    throw new ConfigError(use.name.place, 'except leaves bind no address: take one out of it');
  return left;
}

/** The addresses of one word. */
function resolve(token: Token, interfaces: Interfaces): string[] {
  if (familyOf(token.text) !== undefined) return [canonical(token.text)];
  const ofInterface = interfaces().get(token.text);
  if (ofInterface === undefined)
    throw badValue(token, 'an IP address or the name of an interface of this node');
  if (ofInterface.length === 0)
    throw new ConfigError(token.place, `interface "${token.text}" has no address`);
  return ofInterface.map(canonical);
}

/** The addresses of a wildcard, so that some can be excluded. */
function withoutWildcard(address: string, interfaces: Interfaces): string[] {
  const family = WILDCARDS[address];
  if (family === undefined) return [address];
  const all = [...interfaces().values()].flat();
  return all.filter((candidate) => familyOf(candidate) === family).map(canonical);
}

function canonical(address: string): string {
  const zone = address.indexOf('%');
  return formatAddress(addressBytes(address)) + (zone < 0 ? '' : address.slice(zone));
}
