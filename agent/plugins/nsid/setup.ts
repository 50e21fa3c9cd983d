/** `nsid [DATA…]`: identifies the server to clients that ask for it. */
import { hostname } from 'node:os';
import { badValue, noBody, onlyUse } from '../../config/corefile/args.ts';
import type { Directive, Token } from '../../config/corefile/types.ts';
import type { Plugin } from '../../query/plugin.ts';
import { nsidHandler } from './handler.ts';

/** Longer identifiers only take room from answers. */
const MAX_BYTES = 255;

/** Without arguments the identifier is the host name, as in CoreDNS. Throws ConfigError if it exceeds 255 bytes. */
export function setup(directive: Directive): Plugin {
  const line = onlyUse(directive);
  noBody(line);
  const text = line.args.map((token) => token.text).join(' ') || hostname();
  const data = Buffer.from(text, 'utf8');
  if (data.length > MAX_BYTES)
    throw badValue(line.args[0] as Token, `an identifier of at most ${MAX_BYTES} bytes`);
  return { name: 'nsid', handle: nsidHandler(data) };
}
