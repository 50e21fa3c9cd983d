/** Attacks over TCP connections. */
import { setTimeout as pause } from 'node:timers/promises';
import { LIMITS } from '../../../../agent/base/limits.ts';
import { frame, MAX_FRAME_BYTES } from '../../../../agent/dns/frame.ts';
import { RawClient } from '../raw-client.ts';
import { crowd, type Target } from './crowd.ts';
import {
  emptyFrames,
  pipelined,
  pipelinedBig,
  question,
  silentFrames,
  silentQuestion,
} from './questions.ts';

const EMPTY_FRAMES = 32_768;
const PIPELINED_BYTES = 60_000;
/** The limit of unanswered queries on a connection. */
const QUESTIONS = 256;
const SIP_BYTES = 1_024;
/** Connections of a storm opened at once, and the pause after them: at most 2,000 a second. */
const STORM = 20;
const STORM_PAUSE_MS = 10;

type Attack = (target: Target) => Promise<unknown>;

/** The kernel buffers all data while the agent does not read. */
const unanswered: Attack = (target) =>
  crowd(target, {
    size: 20,
    begin: (client) => {
      client.sendBytes(silentFrames(QUESTIONS));
      client.sendBytes(emptyFrames(EMPTY_FRAMES));
    },
  });

const nonsense: Attack = (target) =>
  crowd(target, { size: 50, begin: (client) => client.sendBytes(emptyFrames(EMPTY_FRAMES)) });

/** More and more questions: the answers to the first ones may all fit into the buffers of the kernel. */
const asksOn =
  (bytes: Buffer): Attack =>
  (target) => {
    const send = (client: RawClient): void => client.sendMore(bytes);
    return crowd(target, { size: 500, begin: send, goOn: send });
  };

const unread = asksOn(pipelined(PIPELINED_BYTES));
const unreadBig = asksOn(pipelinedBig(PIPELINED_BYTES));

const waiting: Attack = (target) =>
  crowd(target, {
    size: 1_200,
    begin: (client) => client.sendBytes(frame(silentQuestion())),
  });

const slowReaders: Attack = (target) => {
  const bytes = pipelinedBig(PIPELINED_BYTES);
  return crowd(target, {
    ...{ size: 300, sipBytes: SIP_BYTES, everyMs: 100 },
    begin: (client) => client.sendBytes(bytes),
    goOn: (client) => client.sip(),
  });
};

/** Each connection sends a byte of a question a second. */
const slowWriters: Attack = (target) => {
  const bytes = frame(question('neighbour.test'));
  const sent = new WeakMap<RawClient, number>();
  const write = (client: RawClient): void => {
    const at = sent.get(client) ?? 0;
    sent.set(client, at + 1);
    client.sendBytes(bytes.subarray(at, at + 1));
  };
  return crowd(target, { size: 1_200, begin: write, goOn: write });
};

const halfClosed: Attack = (target) =>
  crowd(target, {
    size: 1_000,
    begin: (client) => {
      client.sendBytes(silentFrames(4));
      client.half();
    },
  });

/** Each connection starts the longest message that the agent reads, and does not send its last byte. */
const unfinished: Attack = (target) => {
  const longest = LIMITS.ednsUdpSizeBytes.max;
  const bytes = Buffer.alloc(longest + 1, frame(silentQuestion()));
  bytes.writeUInt16BE(longest);
  return crowd(target, { size: 1_200, begin: (client) => client.sendBytes(bytes) });
};

/** Whole messages of the longest size: a question, and garbage in place of records. */
const longFrames: Attack = (target) => {
  const message = Buffer.alloc(MAX_FRAME_BYTES, 0xc0);
  silentQuestion().copy(message);
  message.writeUInt16BE(0xffff, 10);
  const bytes = frame(message);
  const write = (client: RawClient): void => client.sendBytes(bytes);
  return crowd(target, { size: 100, begin: write, goOn: write, everyMs: 100 });
};

/** Connections that are opened and closed again. */
function storm(act: (client: RawClient) => void): Attack {
  return async ({ port, address: localAddress }) => {
    const one = async (): Promise<void> => {
      for (;;) {
        try {
          act(await RawClient.open({ port, localAddress }));
        } catch {
          // The agent had no place for the connection.
        }
        await pause(STORM_PAUSE_MS);
      }
    };
    await Promise.all(Array.from({ length: STORM }, one));
  };
}

const floods = storm((client) => client.close());

const resets = storm((client) => {
  client.sendBytes(Buffer.concat([pipelined(600), silentFrames(2)]));
  setImmediate(() => client.reset());
});

export const TCP_ATTACKS = {
  ...{ unanswered, nonsense, unread, unreadBig, waiting, slowReaders, slowWriters },
  ...{ halfClosed, unfinished, longFrames, floods, resets },
} satisfies Record<string, Attack>;
