/** `chaos [VERSION] [AUTHORS…]`: answers the CH questions that identify a server. */
import { hostname } from 'node:os';
import { badValue, firstUse, noBody } from '../../config/corefile/args.ts';
import type { Block, Directive, Token } from '../../config/corefile/types.ts';
import type { Plugin } from '../../query/plugin.ts';
import type { Services } from '../../query/services/services.ts';
import { chaosHandler } from './handler.ts';

const DEFAULT_VERSION = 'nodens';
const DEFAULT_AUTHORS: readonly string[] = ['the nodens authors'];
/** Maximum of one character-string (RFC 1035 §3.3). */
const MAX_BYTES = 255;

/** A second use is ignored with a warning. Throws ConfigError for a text of over 255 bytes. */
export function setup(directive: Directive, _block: Block, { log }: Services): Plugin {
  const line = firstUse(directive, log);
  noBody(line);
  const [version, ...authors] = line.args.map(stringArg);
  const handle = chaosHandler({
    version: version ?? DEFAULT_VERSION,
    authors: authors.length === 0 ? DEFAULT_AUTHORS : authors,
    hostname: hostname(),
  });
  return { name: 'chaos', handle };
}

function stringArg(token: Token): string {
  if (Buffer.byteLength(token.text) > MAX_BYTES)
    throw badValue(token, `a text of at most ${MAX_BYTES} bytes`);
  return token.text;
}
