/** Tells a server that answers nothing of use from names that have no useful answer. */
import { RCODE } from '../../dns/iana.ts';

/** What a server says that does not serve us: one such reply is about the name, only these are about the server. */
const USELESS_RCODES: ReadonlySet<number> = new Set([
  RCODE.FORMERR,
  RCODE.SERVFAIL,
  RCODE.NOTIMP,
  RCODE.REFUSED,
]);

/** Different names in a row with useless replies that put an upstream under suspicion. */
const USELESS_NAMES = 10;

export function isUseless(rcode: number): boolean {
  return USELESS_RCODES.has(rcode);
}

export class Usefulness {
  /** Names, one octet a character, since the last useful reply; one broken name asked often says little. */
  readonly #names = new Set<string>();

  heard(rcode: number, name: Uint8Array): void {
    if (!isUseless(rcode)) this.reset();
    else if (!this.isInDoubt) this.#names.add(Buffer.from(name).latin1Slice());
  }

  get isInDoubt(): boolean {
    return this.#names.size >= USELESS_NAMES;
  }

  reset(): void {
    if (this.#names.size > 0) this.#names.clear();
  }
}
