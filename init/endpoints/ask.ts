/** Asks the cluster's DNS over TCP: no answer is truncated, and no host off the path can forge one. */
import { randomInt } from 'node:crypto';
import type { Endpoint } from '../../agent/base/address.ts';
import type { Clock } from '../../agent/base/clock.ts';
import { NodensError } from '../../agent/base/errors.ts';
import type { QuestionFields } from '../../agent/dns/build.ts';
import { type HostRecord, readHostRecords } from '../../agent/dns/client/host-records.ts';
import { replyTo, simpleQuery } from '../../agent/dns/client/simple-query.ts';
import { FLAG } from '../../agent/dns/header.ts';
import { CLASS, RCODE, TYPE } from '../../agent/dns/iana.ts';
import { lowerName, nameFromText } from '../../agent/dns/name.ts';
import { EXCHANGES } from '../node/dns-exchange.ts';

/** kube-dns answers for the cluster's own names from memory. */
const ASK_TIMEOUT_MS = 1_000;

/** Types that a lookup of endpoints asks for. */
export type RecordType = 'A' | 'AAAA' | 'SRV';

/** A complete reply to one question. `makeAsk` lets only NOERROR and NXDOMAIN through. */
export interface Reply {
  readonly rcode: number;
  readonly records: readonly HostRecord[];
}

/** Thrown when no server answered: the endpoints known before may still exist. */
export class NoAnswerError extends NodensError {
  constructor(name: string, servers: readonly Endpoint[]) {
    const asked = servers.map(({ address }) => address).join(', ');
    const why = asked === '' ? 'no answer: no server is known' : `no answer from ${asked}`;
    super('NODENS_NO_ANSWER', `${name}: ${why}`);
  }
}

/** Resolves to an answer, which may be empty (NXDOMAIN). Rejects with `NoAnswerError`. */
export type Ask = (name: string, type: RecordType) => Promise<Reply>;

/** Asks one of `servers` after the other until one answers; it gets the next question first. */
export function makeAsk(clock: Clock, servers: readonly Endpoint[]): Ask {
  let next = 0;
  return async (name, type) => {
    for (let tries = 0; tries < servers.length; tries++) {
      const server = servers[next % servers.length] as Endpoint;
      const reply = await askOne(clock, server, name, type);
      if (reply?.rcode === RCODE.NOERROR || reply?.rcode === RCODE.NXDOMAIN) return reply;
      next++;
    }
    throw new NoAnswerError(name, servers);
  };
}

function askOne(
  clock: Clock,
  server: Endpoint,
  name: string,
  type: RecordType,
): Promise<Reply | undefined> {
  const id = randomInt(0x1_0000);
  const question = questionFor(name, type);
  return new Promise((resolve) => {
    const timer = clock.after(ASK_TIMEOUT_MS, () => finish(undefined));
    const finish = (reply: Reply | undefined): void => {
      timer.cancel();
      end();
      resolve(reply);
    };
    const end = EXCHANGES.tcp(server, simpleQuery(id, question, FLAG.RD), {
      onMessage: (message) => finish(readAnswer(id, question, message)),
      onError: () => finish(undefined),
    });
  });
}

/** Throws RangeError where `name` is no name. */
export function questionFor(name: string, type: RecordType): QuestionFields {
  return { name: lowerName(nameFromText(name)), type: TYPE[type], class: CLASS.IN };
}

/** The answer in `message` to the query `id`; undefined where it is none, truncated or malformed. */
export function readAnswer(
  id: number,
  question: QuestionFields,
  message: Buffer,
): Reply | undefined {
  const reply = replyTo(id, question, message);
  if (reply === undefined || reply.truncated) return undefined;
  const records = readHostRecords(reply.wire, reply.records);
  return records && { rcode: reply.rcode, records };
}
