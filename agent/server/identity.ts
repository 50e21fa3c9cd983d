/**
 * Identifies this agent to init's probes, which must not accept another server's answer. The nonce is secret from other
 * programs: one that knew it could answer in place of a dead agent.
 */
import { randomBytes } from 'node:crypto';
import { addressBytes } from '../base/address.ts';
import { PROBE_NAME, type ProbePorts } from '../base/control.ts';
import { FLAG } from '../dns/header.ts';
import { CLASS, RCODE, TYPE } from '../dns/iana.ts';
import { nameFromText, sameName } from '../dns/name.ts';
import { type Answer, madeAnswer } from '../query/answer.ts';
import { askedEndpoint } from '../query/asked.ts';
import type { Query } from '../query/query.ts';

const NONCE_BYTES = 16;
const NAME = nameFromText(PROBE_NAME);
const QUESTION = { name: NAME, type: TYPE.TXT, class: CLASS.CH };
/** The answer for the node's own programs: an agent answers here. It does not identify the agent. */
const PRESENCE = textAnswer('nodens');
const REFUSAL = madeAnswer(QUESTION, { rcode: RCODE.REFUSED, flags: 0 }, '', { shareable: false });

/** One for the process. `answerTo` runs before routing, so no Corefile can change its answers. */
export class Identity {
  /** Hex text, new for every process. */
  readonly nonce: string = randomBytes(NONCE_BYTES).toString('hex');
  /** Source ports of init's probes; undefined until init has sent them: every port of the node may be init's. */
  probePorts: ProbePorts | undefined;
  readonly #answer = textAnswer(this.nonce);

  /**
   * The answer if `query` asks for the name of probes, else undefined. Only init's probes get the nonce: they come from
   * the asked address itself, which the kernel accepts from no pod and delivers to no pod, and from init's source
   * ports. Other programs that ask from that address run on the node: they learn only that an agent answers. A pod is
   * refused.
   */
  answerTo(query: Query): Answer | undefined {
    if (query.class !== CLASS.CH || query.type !== TYPE.TXT) return undefined;
    if (!sameName(query.name, NAME)) return undefined;
    const { address, port } = query.client;
    if (!isSame(askedEndpoint(query)?.address, address)) return REFUSAL;
    const { first, last } = this.probePorts ?? { first: 0, last: 65_535 };
    return port >= first && port <= last ? this.#answer : PRESENCE;
  }
}

function textAnswer(text: string): Answer {
  const rdata = Buffer.concat([Uint8Array.of(text.length), Buffer.from(text, 'latin1')]);
  return madeAnswer(
    QUESTION,
    { rcode: RCODE.NOERROR, flags: FLAG.AA, answer: [{ type: TYPE.TXT, ttlSeconds: 0, rdata }] },
    '',
    { shareable: false },
  );
}

/** Whether two addresses in text form are the same; undefined or '' means none. */
function isSame(asked: string | undefined, asker: string): boolean {
  if (asked === undefined || asker === '') return false;
  return Buffer.compare(addressBytes(asked), addressBytes(asker)) === 0;
}
