/** Distinguishes a server without useful replies from names without useful answers. */
import { RCODE } from '../../dns/iana.ts';

/** Rcodes that give the client nothing: a single one is about the name, but many in a row are about the server. */
const USELESS_RCODES: ReadonlySet<number> = new Set([
  RCODE.FORMERR,
  RCODE.SERVFAIL,
  RCODE.NOTIMP,
  RCODE.REFUSED,
]);

/** Number of different names in a row with useless replies that make an upstream suspect. */
const USELESS_NAMES = 10;

/** FORMERR, SERVFAIL, NOTIMP and REFUSED: a reason to ask another upstream if this one is suspect. */
export function isUseless(rcode: number): boolean {
  return USELESS_RCODES.has(rcode);
}

/** Of one upstream under one health check. One useful reply removes all doubt. */
export class Usefulness {
  /** Names, one byte a character, since the last useful reply; one broken name asked often proves little. */
  readonly #names = new Set<string>();

  /** `name` is in wire form. */
  recordReply(rcode: number, name: Uint8Array): void {
    if (!isUseless(rcode)) this.reset();
    else if (!this.isInDoubt) this.#names.add(Buffer.from(name).latin1Slice());
  }

  /** Whether ten different names in a row had useless replies. */
  get isInDoubt(): boolean {
    return this.#names.size >= USELESS_NAMES;
  }

  reset(): void {
    if (this.#names.size > 0) this.#names.clear();
  }
}
