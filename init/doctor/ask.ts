/** One DNS question over UDP or TCP, with its answer read as far as a doctor needs it. */
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { familyOf } from '../../agent/base/address.ts';
import type { Clock } from '../../agent/base/clock.ts';
import { errnoOf } from '../../agent/base/errors.ts';
import type { Reply, Transport } from './facts.ts';

const TIMEOUT_MS = 2_000;
const HEADER_BYTES = 12;
const QUESTION_TAIL_BYTES = 4;
/** Type, class, TTL and length behind an owner that is one pointer. */
const RECORD_HEAD_BYTES = 12;

export const TYPE = { A: 1, NS: 2, TXT: 16 } as const;
export const CLASS = { IN: 1, CH: 3 } as const;

export interface Question {
  readonly name: string;
  readonly type: number;
  readonly class: number;
}

/** Never rejects. */
export type Ask = (
  transport: Transport,
  address: string,
  port: number,
  question: Question,
) => Promise<Reply>;

export function makeAsk(clock: Clock): Ask {
  return (transport, address, port, question) =>
    new Promise((resolve) => {
      const startMs = clock.nowMs();
      const id = randomInt(0x1_0000);
      const query = encodeQuery(id, question);
      const finish = (reply: Reply): void => {
        timer.cancel();
        end();
        resolve(reply);
      };
      const hear = (message: Buffer): void => {
        const answer = readAnswer(message, id, query.length);
        if (answer !== undefined) finish({ ...answer, ms: Math.round(clock.nowMs() - startMs) });
      };
      const fail = (error: string): void => finish({ error });
      const timer = clock.after(TIMEOUT_MS, () => finish({ error: 'timeout' }));
      const end = (transport === 'udp' ? overUdp : overTcp)(address, port, query, hear, fail);
    });
}

type Exchange = (
  address: string,
  port: number,
  query: Buffer,
  hear: (message: Buffer) => void,
  fail: (error: string) => void,
) => () => void;

const overUdp: Exchange = (address, port, query, hear, fail) => {
  const socket = createSocket(familyOf(address) === 6 ? 'udp6' : 'udp4');
  socket.on('error', (error) => fail(errnoOf(error)));
  socket.on('message', hear);
  // Connected, so that strangers cannot answer and a refusal is heard.
  socket.connect(port, address, () => socket.send(query));
  return () => {
    socket.removeAllListeners().on('error', () => undefined);
    socket.close();
  };
};

const overTcp: Exchange = (address, port, query, hear, fail) => {
  const socket = connect(port, address);
  let received = Buffer.alloc(0);
  socket.on('connect', () => {
    const length = Buffer.alloc(2);
    length.writeUInt16BE(query.length);
    socket.write(Buffer.concat([length, query]));
  });
  socket.on('data', (chunk) => {
    received = Buffer.concat([received, chunk]);
    if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
    hear(received.subarray(2, 2 + received.readUInt16BE(0)));
  });
  socket.on('error', (error) => fail(errnoOf(error)));
  socket.on('end', () => fail('closed unanswered'));
  return () => {
    socket.removeAllListeners().on('error', () => undefined);
    socket.destroy();
  };
};

export function encodeQuery(id: number, question: Question): Buffer {
  const labels = question.name.split('.').filter((label) => label !== '');
  const name = labels.flatMap((label) => [label.length, ...Buffer.from(label, 'latin1')]);
  const tail = Buffer.alloc(QUESTION_TAIL_BYTES);
  tail.writeUInt16BE(question.type, 0);
  tail.writeUInt16BE(question.class, 2);
  // RD: kube-dns and resolvers are asked as a stub would.
  const header = Buffer.from([id >> 8, id & 0xff, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  return Buffer.concat([header, Buffer.from([...name, 0]), tail]);
}

/** Undefined where `message` is no answer to query `id`, whose length says where the first answer record begins. */
export function readAnswer(
  message: Buffer,
  id: number,
  queryLength: number,
): { rcode: number; text: string | undefined } | undefined {
  if (message.length < HEADER_BYTES || message.readUInt16BE(0) !== id) return undefined;
  if (((message[2] as number) & 0x80) === 0) return undefined;
  return { rcode: (message[3] as number) & 0x0f, text: firstText(message, queryLength) };
}

/** First string of a TXT record right behind the question, whose owner is a pointer. */
function firstText(message: Buffer, at: number): string | undefined {
  const start = at + RECORD_HEAD_BYTES;
  const hasAnswer = message.readUInt16BE(6) > 0 && message.length > start;
  if (!hasAnswer || ((message[at] as number) & 0xc0) !== 0xc0) return undefined;
  if (message.readUInt16BE(at + 2) !== TYPE.TXT) return undefined;
  const length = message[start] as number;
  return message.subarray(start + 1, start + 1 + length).toString('latin1');
}
