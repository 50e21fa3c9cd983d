/** A client's question through nodens, the reply of a scripted upstream, and the client's answer. */
import { decode } from 'dns-packet';
import { buildQuery } from '../../../agent/dns/build.ts';
import { FLAG, flagsOf, putU16 } from '../../../agent/dns/header.ts';
import { CLASS, TYPE } from '../../../agent/dns/iana.ts';
import { nameFromText } from '../../../agent/dns/name.ts';
import { type Made, made } from '../dns/replies.ts';
import type { Asked } from './server.ts';

export function query(name: string, type: keyof typeof TYPE, dnssecOk?: boolean): Buffer {
  return buildQuery({
    ...{ name: nameFromText(name), type: TYPE[type], class: CLASS.IN, id: 7, flags: FLAG.RD },
    ...{ dnssecOk: dnssecOk ?? false, udpSizeBytes: dnssecOk === undefined ? undefined : 1_232 },
  });
}

export function send(asked: Asked, message: Buffer): void {
  const own = Buffer.from(message);
  putU16(own, 0, asked.head.id);
  if (asked.transport === 'udp') asked.raw(own);
  else asked.raw(Buffer.concat([Buffer.of(own.length >> 8, own.length & 0xff), own]));
}

/** CoreDNS does not compress names over TCP. */
export const plain = (message: Made): Buffer => made(message).wire;

export const rcodeOf = (response: Buffer): number => flagsOf(response) & 0xf;

/** Owner, type and data of each answer, in their letter case. */
export function answersOf(response: Buffer): string[] {
  return (decode(response).answers ?? []).map(
    (answer) => `${answer.name} ${answer.type} ${'data' in answer ? String(answer.data) : ''}`,
  );
}
