/** One DNS question over UDP or TCP, with its reply read as far as the doctor needs it. */
import { randomInt } from 'node:crypto';
import type { Clock } from '../../agent/base/clock.ts';
import { firstText, replyTo, simpleQuery } from '../../agent/dns/client/simple-query.ts';
import { FLAG } from '../../agent/dns/header.ts';
import { lowerName, nameFromText } from '../../agent/dns/name.ts';
import { EXCHANGES } from '../node/dns-exchange.ts';
import type { Reply, Transport } from './facts.ts';

const TIMEOUT_MS = 2_000;

/** What `Ask` asks. */
export interface Question {
  /** Presentation format. */
  readonly name: string;
  /** Number of the RR type (IANA). */
  readonly type: number;
  /** Number of the class: IN, or CH for the probe's name. */
  readonly class: number;
}

/** Never rejects. */
export type Ask = (
  transport: Transport,
  address: string,
  port: number,
  question: Question,
) => Promise<Reply>;

/** Asks once, with a bound of 2 s and no second try: a reply that gets lost is a finding, too. */
export function makeAsk(clock: Clock): Ask {
  return (transport, address, port, question) =>
    new Promise((resolve) => {
      const startMs = clock.nowMs();
      const id = randomInt(0x1_0000);
      const asked = { ...question, name: lowerName(nameFromText(question.name)) };
      const finish = (reply: Reply): void => {
        timer.cancel();
        end();
        resolve(reply);
      };
      const timer = clock.after(TIMEOUT_MS, () => finish({ error: 'timeout' }));
      // RD: kube-dns and resolvers are asked as a stub resolver asks.
      const query = simpleQuery(id, asked, FLAG.RD);
      const end = EXCHANGES[transport]({ address, port }, query, {
        onMessage: (message) => {
          const reply = replyTo(id, asked, message);
          if (reply === undefined) return;
          const ms = Math.round(clock.nowMs() - startMs);
          finish({ rcode: reply.rcode, text: firstText(reply), ms });
        },
        onError: (error) => finish({ error }),
      });
    });
}
