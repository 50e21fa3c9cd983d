/** Servers that resolve upstreams given by name: `resolver IP…`, or the node's servers; never the agent itself. */
import { type Endpoint, formatEndpoint, parseEndpoint } from '../../base/address.ts';
import { ConfigError, messageOf } from '../../base/errors.ts';
import { badValue } from '../../config/corefile/args.ts';
import type { Token } from '../../config/corefile/types.ts';
import type { Services } from '../../query/services/services.ts';
import { nameservers, ownListeners } from './upstreams.ts';

const DNS_PORT = 53;
const RESOLV_CONF = '/etc/resolv.conf';

/** Servers for the names of a forward line at `line`. Throws ConfigError if only nodens itself could be asked. */
export function readResolvers(
  tokens: readonly Token[],
  line: Token,
  services: Services,
): readonly Endpoint[] {
  const named = tokens.length === 0 ? nodeServers(line, services) : tokens.map(resolverArg);
  const isOwn = ownListeners(services);
  const others = named.filter((endpoint) => !isOwn(endpoint));
  if (others.length > 0) return others;
  const where = tokens[0] ?? line;
  const own =
    named.length === 0
      ? 'names no server'
      : `names only ${named.map(formatEndpoint).join(', ')}, which is nodens itself`;
  const source = tokens.length === 0 ? RESOLV_CONF : 'resolver';
  throw new ConfigError(
    where.place,
    `an upstream is given by name, and ${source} ${own}: name a server that knows the address with "resolver IP"`,
  );
}

function resolverArg(token: Token): Endpoint {
  const endpoint = parseEndpoint(token.text, DNS_PORT);
  if (endpoint === undefined)
    throw badValue(token, 'the IP address of a resolver, with or without port');
  return endpoint;
}

function nodeServers(line: Token, { files }: Services): readonly Endpoint[] {
  try {
    return nameservers(files.read(RESOLV_CONF));
  } catch (error) {
    const reason = `an upstream is given by name, and ${RESOLV_CONF} cannot be read: ${messageOf(error)}`;
    throw new ConfigError(
      line.place,
      `${reason}; name a server that knows the address with "resolver IP"`,
    );
  }
}
