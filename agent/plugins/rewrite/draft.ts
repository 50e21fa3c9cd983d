/** A query while rules change it, and what they want done to its response. */
import { findOption } from '../../dns/edns.ts';
import { nameFromText, nameToText } from '../../dns/name.ts';
import type { Query } from '../../query/query.ts';

/** What becomes of a name in a response; names are lower-case presentation format with trailing dot. */
export type Renaming = (name: string) => string;

/** What a rule that matched wants done to the response. */
export interface Undo {
  readonly owner?: Renaming;
  readonly target?: Renaming;
  /** TTL of each record from the TTL it has, seconds. */
  readonly ttl?: (seconds: number) => number;
  readonly rcode?: (rcode: number) => number;
  /** A CNAME's new target where it gets one; the answer is then looked up there. */
  readonly alias?: (target: string) => string | undefined;
}

/** Tries to apply itself to `draft`; undefined where it does not match. Throws RangeError for an impossible name. */
export type Rule = (draft: Draft) => Undo | undefined;

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

  /** The name as it is now, presentation format. Throws RangeError when set to what is no name. */
  get name(): string {
    this.#text ??= this.query.nameText;
    return this.#text;
  }

  set name(text: string) {
    this.#renamed = nameFromText(text.toLowerCase());
    this.#text = nameToText(this.#renamed);
  }

  /** Data of the option with `code`: as rules have set it, or as the client sent it. */
  option(code: number): Buffer | undefined {
    const { head, wire } = this.query;
    const found = findOption(wire, head.optRdataStart, head.optRdataEnd, code);
    return this.#options.get(code) ?? (found && Buffer.from(wire.subarray(found.start, found.end)));
  }

  setOption(code: number, data: Buffer): void {
    this.#hasOptions = true;
    this.#options.set(code, data);
  }

  unsetOption(code: number): void {
    this.#options.delete(code);
  }

  /** What goes down the chain: the client's own query where nothing of it has changed. */
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
