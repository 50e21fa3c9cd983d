/** The upstream of a node under attack: it answers every name except some. */
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { buildResponse } from '../../../agent/dns/build.ts';
import { frame } from '../../../agent/dns/frame.ts';
import { FLAG, idOf, putU16 } from '../../../agent/dns/header.ts';
import { RCODE, TYPE } from '../../../agent/dns/iana.ts';
import type { Asked } from '../upstream/server.ts';
import { spawnUndelayed } from './undelayed.ts';

const PROGRAM = fileURLToPath(new URL('./upstream-process.ts', import.meta.url));

/** Names below this get no answer. */
export const SILENT = 'silent.test';
/** Its answer is a large set of TXT records. */
export const BIG = 'big.test';

const TEXTS = 120;
const TEXT_BYTES = 250;

export function answerAsked(asked: Asked): void {
  const { head, message } = asked;
  const name = head.name.slice(0, head.nameLength);
  const text = Buffer.from(name).toString('latin1');
  if (text.includes('\x06silent')) return;
  if (!text.includes('\x03big')) {
    asked.answer({ address: [192, 0, 2, 1] });
    return;
  }
  if (asked.transport === 'udp') {
    asked.answer({ truncated: true });
    return;
  }
  const answer = Array.from({ length: TEXTS }, (_, i) => ({
    type: TYPE.TXT,
    ttlSeconds: 60,
    rdata: Buffer.alloc(TEXT_BYTES, i).fill(TEXT_BYTES - 1, 0, 1),
  }));
  const question = { name, type: head.type, class: head.class };
  const wire = buildResponse(question, { rcode: RCODE.NOERROR, flags: FLAG.RA | FLAG.RD, answer });
  putU16(wire, 0, idOf(message));
  asked.raw(frame(wire));
}

/** An upstream on loopback. */
export interface Upstream {
  readonly port: number;
  close(): Promise<void>;
}

/** Starts `answerAsked` in a process of its own. */
export async function startUpstream(): Promise<Upstream> {
  const child = spawnUndelayed('upstream', PROGRAM, []);
  const ended = once(child, 'close');
  const [printed] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
  return {
    port: Number(printed.toString()),
    close: async () => {
      child.stdin?.end();
      await ended;
    },
  };
}
