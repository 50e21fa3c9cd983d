/**
 * Asks the agent on a local IP which one it is, over UDP and TCP, as a client would: from a reserved source port that
 * rules keep out of connection tracking, so that only a socket of this node can answer.
 */
import { randomInt } from 'node:crypto';
import type { Clock } from '../../agent/base/clock.ts';
import { PROBE_NAME } from '../../agent/base/control.ts';
import type { QuestionFields } from '../../agent/dns/build.ts';
import { firstText, replyTo, simpleQuery } from '../../agent/dns/client/simple-query.ts';
import { CLASS, RCODE, TYPE } from '../../agent/dns/iana.ts';
import { nameFromText } from '../../agent/dns/name.ts';
import { EXCHANGES, type Target } from '../node/dns-exchange.ts';
import type { PortRange, Protocol } from '../plan/plan.ts';

/** An agent that is well answers within one turn of its event loop. */
const PROBE_TIMEOUT_MS = 500;
/** The kernel picks one. */
const ANY_PORT = 0;

/** Text of the answer; else whether the port refused (no socket is there) or no answer came. */
export type ProbeResult =
  | { readonly text: string }
  | { readonly text: undefined; readonly isRefused: boolean };

/** Never rejects. */
export type Probe = (protocol: Protocol, address: string, port: number) => Promise<ProbeResult>;

const QUESTION: QuestionFields = {
  name: nameFromText(PROBE_NAME),
  type: TYPE.TXT,
  class: CLASS.CH,
};

/** A source port that another init uses at the moment is left for the next of `ports`. */
export function makeProbe(clock: Clock, ports: PortRange): Probe {
  const count = ports.last - ports.first + 1;
  let offset = randomInt(count);
  return async (protocol, address, port) => {
    for (let tries = 0; tries < count; tries++) {
      const source = { address, port: ports.first + offset };
      const result = await probeOnce(clock, protocol, { address, port, source });
      if (result !== 'busy') return result;
      offset = (offset + 1) % count;
    }
    return { text: undefined, isRefused: false };
  };
}

/**
 * Whether the agent answers a program of this node that asks `address`, from a port that no standing rule untracks:
 * without query rules another server answers, or none. Never rejects.
 */
export async function isRedirectedToAgent(
  clock: Clock,
  address: string,
  port: number,
): Promise<boolean> {
  const source = { address, port: ANY_PORT };
  // The answer of another server is the result: waiting on would put off the repair by the timeout.
  const result = await probeOnce(clock, 'udp', { address, port, source }, true);
  return result !== 'busy' && result.text !== undefined;
}

/** `isFirstFinal`: a message without the text is a failure, and not passed over. */
function probeOnce(
  clock: Clock,
  protocol: Protocol,
  target: Target,
  isFirstFinal = false,
): Promise<ProbeResult | 'busy'> {
  return new Promise((resolve) => {
    const id = randomInt(0x1_0000);
    const finish = (result: ProbeResult | 'busy'): void => {
      timer.cancel();
      end();
      resolve(result);
    };
    const fail = (error: string): void =>
      finish(
        error === 'EADDRINUSE' ? 'busy' : { text: undefined, isRefused: error === 'ECONNREFUSED' },
      );
    const timer = clock.after(PROBE_TIMEOUT_MS, () => fail('ETIMEDOUT'));
    const end = EXCHANGES[protocol](target, probeQuery(id), {
      onMessage: (message) => {
        const text = textIn(message, id);
        if (text !== undefined) finish({ text });
        else if (isFirstFinal) fail('EBADMSG');
      },
      onError: fail,
    });
  });
}

/** `PROBE_NAME` CH TXT. */
export function probeQuery(id: number): Buffer {
  return simpleQuery(id, QUESTION, 0);
}

/** First string of the first TXT record of a good answer to the query `id`, else undefined. */
export function textIn(message: Buffer, id: number): string | undefined {
  const reply = replyTo(id, QUESTION, message);
  return reply?.rcode === RCODE.NOERROR ? firstText(reply) : undefined;
}

/** The result of one round: a probe to each local IP over both transports. */
export interface Round {
  /** `udp 169.254.20.10` and the like, for each that did not answer. */
  readonly silent: readonly string[];
  /** Whether every one of `silent` was refused: no socket is there, as opposed to one that does not answer. */
  readonly isRefused: boolean;
  /** The nonces of the agents that answered over UDP. */
  readonly names: ReadonlySet<string>;
}

/** Asks on every address over both transports at the same time. */
export async function probeAll(
  probe: Probe,
  addresses: readonly string[],
  port: number,
): Promise<Round> {
  const asked = addresses.flatMap((address) =>
    (['udp', 'tcp'] as const).map(async (protocol) => {
      const result = await probe(protocol, address, port);
      return { protocol, what: `${protocol} ${address}`, result };
    }),
  );
  const answers = await Promise.all(asked);
  const failed = answers.filter(({ result }) => result.text === undefined);
  return {
    silent: failed.map(({ what }) => what),
    isRefused: failed.every(({ result }) => result.text === undefined && result.isRefused),
    names: new Set(
      answers.flatMap(({ protocol, result }) => (protocol === 'udp' ? (result.text ?? []) : [])),
    ),
  };
}
