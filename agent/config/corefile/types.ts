/** A parsed Corefile: data with positions; nothing is resolved or opened. */
import type { Place } from '../../base/errors.ts';

/** A word of the text after environment substitution. */
export interface Token {
  readonly text: string;
  readonly place: Place;
  readonly quoted: boolean;
}

/** One line inside a directive's braces: `name args…`, possibly with its own braces. */
export interface Line {
  readonly name: Token;
  readonly args: readonly Token[];
  readonly body: readonly Line[] | undefined;
}

/**
 * All uses of one directive in one block, in file order: a plugin is set up once per block, from all of them
 * as in CoreDNS. Most plugins refuse a second use.
 */
export interface Directive {
  readonly name: string;
  readonly place: Place;
  readonly uses: readonly Line[];
}

/** Transports that CoreDNS knows as a key's prefix. The agent listens for `dns` only and refuses the others. */
export type Scheme = 'dns' | 'tls' | 'quic' | 'grpc' | 'https' | 'https3';

/** One key of a server block. `zone` is lower-case presentation format with a trailing dot (`.` for the root). */
export interface BlockKey {
  readonly scheme: Scheme;
  readonly zone: string;
  readonly port: number;
  readonly place: Place;
}

/** A server block: its keys share one chain of plugins. */
export interface Block {
  readonly keys: readonly BlockKey[];
  readonly directives: readonly Directive[];
  readonly place: Place;
}

/** A whole Corefile with everything it imported. `hash` is a hex SHA-512 over the parsed content. */
export interface Corefile {
  readonly file: string;
  readonly blocks: readonly Block[];
  readonly warnings: readonly string[];
  readonly hash: string;
}
