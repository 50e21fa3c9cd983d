/** A query while rules change it, and the changes to make to its response. */
import { findOption } from '../../dns/edns.ts';
import { nameFromText, nameToText } from '../../dns/name.ts';
import type { Query } from '../../query/query.ts';

/** Maps a name in a response; names are lower-case presentation format with trailing dot. */
export type Renaming = (name: string) => string;

/** A matching rule's changes to the response. */
export interface Undo {
  readonly owner?: Renaming;
  readonly target?: Renaming;
  /** TTL of each record from its original TTL, seconds. */
  readonly ttl?: (seconds: number) => number;
  readonly rcode?: (rcode: number) => number;
  /** A CNAME's new target, if the rule changes it; the answer is then looked up there. */
  readonly alias?: (target: string) => string | undefined;
}

/** Applies itself to `draft`; undefined if it does not match. Throws RangeError for an impossible name. */
export type Rule = (draft: Draft) => Undo | undefined;

/** Rules are applied to it one after the other, so each sees the changes of those before it. */
export class Draft {
  readonly query: Query;
  type: number;
  class: number;
  /** EDNS options to send upstream, by code. */
  readonly #options = new Map<number, Buffer>();
  #text: string | undefined;
  #renamed: Uint8Array | undefined;
  #hasOptions = false;

  constructor(query: Query) {
    this.query = query;
    this.type = query.type;
    this.class = query.class;
  }

  /** The current name, presentation format. Setting it throws RangeError for an invalid name. */
  get name(): string {
    this.#text ??= this.query.nameText;
    return this.#text;
  }

  set name(text: string) {
    this.#renamed = nameFromText(text.toLowerCase());
    this.#text = nameToText(this.#renamed);
  }

  /** Data of the option with `code`: as set by rules, else as sent by the client. */
  option(code: number): Buffer | undefined {
    const { head, wire } = this.query;
    const found = findOption(wire, head.optRdataStart, head.optRdataEnd, code);
    return this.#options.get(code) ?? (found && Buffer.from(wire.subarray(found.start, found.end)));
  }

  /** Sends the option upstream, in place of one with the same code that an earlier rule has set. */
  setOption(code: number, data: Buffer): void {
    this.#hasOptions = true;
    this.#options.set(code, data);
  }

  /** Withdraws an option that an earlier rule has set. */
  unsetOption(code: number): void {
    this.#options.delete(code);
  }

  /** The query for later plugins: the client's own query if nothing has changed. */
  derived(encode: (code: number, data: Buffer) => Buffer): Query {
    const { query, type } = this;
    const isSame = this.#renamed === undefined && type === query.type && this.class === query.class;
    if (isSame && !this.#hasOptions) return query;
    const options = [...this.#options].map(([code, data]) => encode(code, data));
    return query.derive({
      name: this.#renamed ?? query.name,
      type,
      class: this.class,
      ...(options.length === 0 ? {} : { upstreamOptions: Buffer.concat(options) }),
    });
  }
}
