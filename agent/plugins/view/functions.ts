/** Functions of expressions: CoreDNS's, with CoreDNS's types (ports are text). */
import { addressBytes, type Cidr, cidrContains, familyOf, parseCidr } from '../../base/address.ts';
import { opcodeOf } from '../../dns/header.ts';
import { className, typeName } from '../../dns/iana.ts';
import { askedEndpoint } from '../../query/asked.ts';
import type { Query } from '../../query/query.ts';
import { type Kind, mustBe, type Term, truth, type Value } from './terms.ts';

interface Property {
  readonly kind: Kind;
  readonly of: (query: Query) => Value;
}

const number = (of: (query: Query) => number): Property => ({ kind: 'number', of });
const text = (of: (query: Query) => string): Property => ({ kind: 'text', of });

const PROPERTIES: Readonly<Record<string, Property>> = {
  bufsize: number((query) => (query.transport === 'tcp' ? 65_535 : query.head.udpSizeBytes)),
  class: text((query) => className(query.class)),
  client_ip: text((query) => bare(query.client.address)),
  do: truth((query) => query.dnssecOk),
  id: number((query) => query.id),
  name: text((query) => query.nameText),
  opcode: number((query) => opcodeOf(query.head.flags)),
  port: text((query) => String(query.client.port)),
  proto: text((query) => query.transport),
  server_ip: text((query) => askedEndpoint(query)?.address ?? ''),
  server_port: text(({ server }) => server.label.slice(server.label.lastIndexOf(':') + 1)),
  size: number((query) => query.length),
  type: text((query) => typeName(query.type)),
};

/** An address without its `%zone`. */
function bare(address: string): string {
  const zone = address.indexOf('%');
  return zone < 0 ? address : address.slice(0, zone);
}

const CALLS: Readonly<Record<string, (args: readonly Term[]) => Term>> = {
  metadata: (args) => {
    const label = mustBe(args[0] as Term, 'text', 'metadata()');
    return { kind: 'text', of: (query) => query.metadata?.get(label.of(query) as string) ?? '' };
  },
  incidr: (args) => inCidr(args[0] as Term, args[1] as Term),
};
const CALL_ARGS: Readonly<Record<string, number>> = { metadata: 1, incidr: 2 };

/** Names that `call` knows. */
export const FUNCTIONS: readonly string[] = [...Object.keys(PROPERTIES), ...Object.keys(CALLS)];

/** The term for `name(args…)`. Throws RangeError for an unknown name and for invalid arguments. */
export function call(name: string, args: readonly Term[]): Term {
  const wanted = Object.hasOwn(CALL_ARGS, name) ? (CALL_ARGS[name] as number) : 0;
  if (!FUNCTIONS.includes(name)) {
    throw new RangeError(`unknown function ${name}(); there are ${FUNCTIONS.join('(), ')}()`);
  }
  if (args.length !== wanted) throw new RangeError(`${name}() takes ${wanted} arguments`);
  return CALLS[name]?.(args) ?? (PROPERTIES[name] as Property);
}

function inCidr(address: Term, network: Term): Term {
  mustBe(address, 'text', 'incidr()');
  mustBe(network, 'text', 'incidr()');
  const known = network.constant === undefined ? undefined : cidrOf(network.constant as string);
  return truth((query) => {
    const from = address.of(query) as string;
    if (familyOf(from) === undefined) throw new RangeError(`not an IP address: ${from}`);
    return cidrContains(known ?? cidrOf(network.of(query) as string), addressBytes(from));
  });
}

function cidrOf(network: string): Cidr {
  const cidr = network.includes('/') ? parseCidr(network) : undefined;
  if (cidr === undefined) throw new RangeError(`"${network}" is not a network like 10.0.0.0/8`);
  return cidr;
}
