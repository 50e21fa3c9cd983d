/** Says which agent this is to init's probes, which must not take another server's answer for ours (design §7). */
import { randomBytes } from 'node:crypto';
import { PROBE_NAME } from '../base/control.ts';
import { FLAG } from '../dns/header.ts';
import { CLASS, RCODE, TYPE } from '../dns/iana.ts';
import { nameFromText, sameName } from '../dns/name.ts';
import { type Answer, madeAnswer } from '../query/answer.ts';
import type { Query } from '../query/query.ts';

const NONCE_BYTES = 16;
const NAME = nameFromText(PROBE_NAME);

export class Identity {
  /** Hex text, new with every process. */
  readonly nonce: string = randomBytes(NONCE_BYTES).toString('hex');
  readonly #answer: Answer;

  constructor() {
    const text = Buffer.from(this.nonce, 'latin1');
    const rdata = Buffer.concat([Uint8Array.of(text.length), text]);
    this.#answer = madeAnswer(
      { name: NAME, type: TYPE.TXT, class: CLASS.CH },
      { rcode: RCODE.NOERROR, flags: FLAG.AA, answer: [{ type: TYPE.TXT, ttlSeconds: 0, rdata }] },
      '',
      { shareable: false },
    );
  }

  /** The answer where `query` is a probe, else undefined. */
  answerTo(query: Query): Answer | undefined {
    if (query.class !== CLASS.CH || query.type !== TYPE.TXT) return undefined;
    return sameName(query.name, NAME) ? this.#answer : undefined;
  }
}
