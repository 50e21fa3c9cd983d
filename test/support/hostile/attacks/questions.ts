/** Questions of attackers. */
import { buildQuery } from '../../../../agent/dns/build.ts';
import { frame } from '../../../../agent/dns/frame.ts';
import { FLAG } from '../../../../agent/dns/header.ts';
import { CLASS, TYPE } from '../../../../agent/dns/iana.ts';
import { nameFromText } from '../../../../agent/dns/name.ts';
import { BIG, SILENT } from '../upstream.ts';

const EMPTY_FRAME_BYTES = 2;
let count = 0;

/** A question; `type` as in DNS. */
export function question(name: string, type: number = TYPE.A): Buffer {
  const id = count++ & 0xffff;
  const fields = {
    name: nameFromText(name),
    type,
    class: CLASS.IN,
    id,
    flags: FLAG.RD,
    udpSizeBytes: undefined,
  };
  return buildQuery({ ...fields, dnssecOk: false });
}

/** For a name that was not asked before and gets no answer. */
export function silentQuestion(): Buffer {
  return question(`n${process.pid}-${count}.${SILENT}`);
}

/** `bytes` of pipelined questions for one name that is in the cache. */
export function pipelined(bytes: number): Buffer {
  return filled(bytes, frame(question('neighbour.test')));
}

/** The same for a name with a large answer. */
export function pipelinedBig(bytes: number): Buffer {
  return filled(bytes, frame(question(BIG, TYPE.TXT)));
}

/** `questions` without an answer, in frames. */
export function silentFrames(questions: number): Buffer {
  return Buffer.concat(Array.from({ length: questions }, () => frame(silentQuestion())));
}

/** Frames of length zero. */
export function emptyFrames(frames: number): Buffer {
  return Buffer.alloc(EMPTY_FRAME_BYTES * frames);
}

function filled(bytes: number, one: Buffer): Buffer {
  return Buffer.alloc(Math.floor(bytes / one.length) * one.length, one);
}
