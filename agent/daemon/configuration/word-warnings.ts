/** Words that are valid and probably mean something else than their author thinks. */
import { familyOf } from '../../base/address.ts';
import type { Place } from '../../base/errors.ts';
import type { Block, Line, Token } from '../../config/corefile/types.ts';

/** Ports of DNS, which a reader takes the last group of an IPv6 address for. */
const DNS_PORTS = new Set(['53', '853', '5353', '1053', '8053']);

/** For each directive with zones of its own: its words that are zones. */
const ZONES: Readonly<Record<string, (use: Line) => readonly Token[]>> = {
  acl: ({ args }) => args,
  cache: ({ args }) => (/^\d+$/.test(args[0]?.text ?? '') ? args.slice(1) : args),
  hosts: ({ args }) => args.slice(1),
  // Words behind the first that has a brace are the format of a line.
  log: ({ args }) => {
    const format = args.findIndex(({ text, quoted }) => quoted || text.includes('{'));
    return format < 0 ? args : args.slice(0, format);
  },
  template: ({ args }) => args.slice(2),
};

/** Warnings about the words of one block. */
export function* wordWarnings(block: Block): Iterable<{ place: Place; text: string }> {
  for (const { name, uses } of block.directives)
    for (const use of uses) {
      for (const token of ZONES[name]?.(use) ?? []) yield* aboutZone(name, token, block);
      if (name === 'forward' || name === 'bind')
        for (const token of use.args) yield* aboutAddress(token);
    }
}

function* aboutZone(
  directive: string,
  { text, place }: Token,
  { keys }: Block,
): Iterable<{ place: Place; text: string }> {
  if (/^\d+(ms|s|m|h|d)$/.test(text)) {
    yield {
      place,
      text: `${directive} ${text}: this is a zone named "${text}.", not a time: that is a number of seconds, without a unit`,
    };
    return;
  }
  // Networks (10.0.0.0/8) mean reverse zones; which, only the plugin knows.
  if (text.includes('/')) return;
  const zone = text === '.' ? '.' : `${text.toLowerCase().replace(/\.$/, '')}.`;
  const zones = keys.map((key) => key.zone);
  if (!zones.some((one) => isWithin(zone, one) || isWithin(one, zone)))
    yield {
      place,
      text: `${directive} ${text}: no query for ${zone} comes to this block, whose zones are ${zones.join(' ')}`,
    };
}

function* aboutAddress({ text, place }: Token): Iterable<{ place: Place; text: string }> {
  const [, address = '', port = ''] = /^([0-9a-f:]*:[0-9a-f:]*):(\d+)$/i.exec(text) ?? [];
  if (!DNS_PORTS.has(port) || familyOf(text) !== 6 || familyOf(address) !== 6) return;
  yield {
    place,
    text: `${text} is an address as a whole, without a port: for port ${port} of ${address} write [${address}]:${port}`,
  };
}

/** Whether `name` is `zone` or below it; both in lower case with trailing dots. */
export function isWithin(name: string, zone: string): boolean {
  return zone === '.' || name === zone || name.endsWith(`.${zone}`);
}
