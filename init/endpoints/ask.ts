/** Asks the cluster's DNS over TCP: nothing is truncated, and nobody off the way can slip in an answer. */
import { randomInt } from 'node:crypto';
import { connect } from 'node:net';
import type { Endpoint } from '../../agent/base/address.ts';
import type { Clock } from '../../agent/base/clock.ts';
import { NodensError } from '../../agent/base/errors.ts';
import { queryFor, type RecordType, type Reply, replyTo } from './message.ts';

/** kube-dns answers for the cluster's own names from memory. */
const ASK_TIMEOUT_MS = 1_000;
const NOERROR = 0;
const NXDOMAIN = 3;

/** Thrown when no server said what there is: whatever was known before may still be true. */
export class NoAnswerError extends NodensError {
  constructor(name: string, servers: readonly Endpoint[]) {
    const asked = servers.map(({ address }) => address).join(', ');
    super('NODENS_NO_ANSWER', `${name}: no answer from ${asked || 'anybody: no server is known'}`);
  }
}

/** Resolves to an answer that says what there is, be it nothing (NXDOMAIN). Rejects with `NoAnswerError`. */
export type Ask = (name: string, type: RecordType) => Promise<Reply>;

/** Asks one of `servers` after the other until one says what there is; the next question goes to that one first. */
export function makeAsk(clock: Clock, servers: readonly Endpoint[]): Ask {
  let silent = 0;
  return async (name, type) => {
    for (let tries = 0; tries < servers.length; tries++) {
      const server = servers[silent % servers.length] as Endpoint;
      const reply = await askOne(clock, server, queryFor(randomInt(0x1_0000), name, type));
      if (reply?.rcode === NOERROR || reply?.rcode === NXDOMAIN) return reply;
      silent++;
    }
    throw new NoAnswerError(name, servers);
  };
}

function askOne(clock: Clock, server: Endpoint, query: Uint8Array): Promise<Reply | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: server.address, port: server.port });
    const timer = clock.after(ASK_TIMEOUT_MS, () => finish(undefined));
    const finish = (reply: Reply | undefined): void => {
      timer.cancel();
      socket.destroy();
      resolve(reply);
    };
    let received = Buffer.alloc(0);
    socket.on('error', () => finish(undefined));
    socket.on('close', () => finish(undefined));
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      const end = received.length < 2 ? Number.POSITIVE_INFINITY : 2 + received.readUInt16BE();
      if (received.length >= end) finish(replyTo(query, received.subarray(2, end)));
    });
    socket.on('connect', () =>
      socket.write(Buffer.concat([Uint8Array.of(query.length >> 8, query.length & 0xff), query])),
    );
  });
}
