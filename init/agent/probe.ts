/**
 * Asks the agent on a local IP which one it is, over UDP and TCP, as a client would: from a reserved source port that
 * rules keep out of connection tracking, so that only a socket of this node can answer.
 */
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { familyOf } from '../../agent/base/address.ts';
import type { Clock } from '../../agent/base/clock.ts';
import { PROBE_NAME } from '../../agent/base/control.ts';
import { errnoOf } from '../../agent/base/errors.ts';
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

/** Sends one query and calls back once: with the answer's bytes, or the error's name. Returns what ends it. */
type Exchange = (
  target: Target,
  query: Uint8Array,
  finish: (answer: Uint8Array | undefined, errno: string) => void,
) => () => void;

interface Target {
  readonly address: string;
  readonly port: number;
  readonly sourcePort: number;
}

const EXCHANGES: Readonly<Record<Protocol, Exchange>> = { udp: overUdp, tcp: overTcp };

/** A source port that another init uses at the moment is left for the next of `ports`. */
export function makeProbe(clock: Clock, ports: PortRange): Probe {
  const count = ports.last - ports.first + 1;
  let offset = randomInt(count);
  return async (protocol, address, port) => {
    for (let tries = 0; tries < count; tries++) {
      const target = { address, port, sourcePort: ports.first + offset };
      const result = await probeOnce(clock, EXCHANGES[protocol], target);
      if (result !== 'busy') return result;
      offset = (offset + 1) % count;
    }
    return { text: undefined, isRefused: false };
  };
}

function probeOnce(
  clock: Clock,
  exchange: Exchange,
  target: Target,
): Promise<ProbeResult | 'busy'> {
  return new Promise((resolve) => {
    const id = randomInt(0x1_0000);
    const timer = clock.after(PROBE_TIMEOUT_MS, () => finish(undefined, 'ETIMEDOUT'));
    const finish = (answer: Uint8Array | undefined, errno: string): void => {
      const text = answer && textIn(answer, id);
      if (answer !== undefined && text === undefined) return;
      timer.cancel();
      end();
      if (errno === 'EADDRINUSE') resolve('busy');
      else if (text === undefined) resolve({ text, isRefused: errno === 'ECONNREFUSED' });
      else resolve({ text });
    };
    const end = exchange(target, probeQuery(id), finish);
  });
}

/**
 * Whether the agent answers a program of this node that asks `address`, from a port that no rule exempts: without the
 * query rules another server does, or none. Never rejects.
 */
export function isRedirectedToAgent(clock: Clock, address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const id = randomInt(0x1_0000);
    const timer = clock.after(PROBE_TIMEOUT_MS, () => finish(undefined));
    const finish = (answer: Uint8Array | undefined): void => {
      timer.cancel();
      end();
      resolve(answer !== undefined && textIn(answer, id) !== undefined);
    };
    const end = overUdp({ address, port, sourcePort: ANY_PORT }, probeQuery(id), finish);
  });
}

function overUdp(
  { address, port, sourcePort }: Target,
  query: Uint8Array,
  finish: (answer: Uint8Array | undefined, errno: string) => void,
): () => void {
  const socket = createSocket(familyOf(address) === 6 ? 'udp6' : 'udp4');
  socket.on('error', (error) => finish(undefined, errnoOf(error)));
  socket.on('message', (message) => finish(message, ''));
  // Connected, so that ICMP "port unreachable" is an answer, too, and strangers cannot reply.
  socket.on('connect', () => socket.send(query));
  socket.bind({ address, port: sourcePort, exclusive: true }, () => socket.connect(port, address));
  return () => {
    socket.removeAllListeners();
    socket.on('error', () => undefined);
    socket.close();
  };
}

function overTcp(
  { address, port, sourcePort }: Target,
  query: Uint8Array,
  finish: (answer: Uint8Array | undefined, errno: string) => void,
): () => void {
  const socket = connect({ host: address, port, localAddress: address, localPort: sourcePort });
  const chunks: Buffer[] = [];
  socket.on('error', (error) => finish(undefined, errnoOf(error)));
  socket.on('close', () => finish(undefined, 'ECONNRESET'));
  socket.on('data', (chunk) => {
    chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    if (bytes.length >= 2 && bytes.length >= 2 + bytes.readUInt16BE())
      finish(bytes.subarray(2), '');
  });
  socket.on('connect', () =>
    socket.write(Buffer.concat([Uint8Array.of(query.length >> 8, query.length & 0xff), query])),
  );
  return () => {
    socket.removeAllListeners();
    socket.on('error', () => undefined);
    // Without a FIN there is no TIME_WAIT, which would keep the source port for a minute.
    socket.resetAndDestroy();
  };
}

const TYPE_TXT = 16;
const CLASS_CH = 3;

/** `PROBE_NAME` CH TXT. */
export function probeQuery(id: number): Uint8Array {
  const labels = PROBE_NAME.split('.').filter((label) => label !== '');
  const name = labels.flatMap((label) => [label.length, ...Buffer.from(label, 'latin1')]);
  const header = [id >> 8, id & 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
  return Uint8Array.from([...header, ...name, 0, 0, TYPE_TXT, 0, CLASS_CH]);
}

/** First string of the first TXT record of a good answer to the query `id`, else undefined. */
export function textIn(message: Uint8Array, id: number): string | undefined {
  if (message.length < 12) return undefined;
  const view = new DataView(message.buffer, message.byteOffset, message.length);
  const isAnswer = view.getUint16(0) === id && (message[2] as number) >= 0x80;
  const isGood = ((message[3] as number) & 0x0f) === 0 && view.getUint16(4) === 1;
  if (!isAnswer || !isGood || view.getUint16(6) === 0) return undefined;
  const record = skipName(message, skipName(message, 12) + 4);
  const start = record + 11;
  if (start > message.length || view.getUint16(record) !== TYPE_TXT) return undefined;
  const end = start + (message[start - 1] as number);
  if (end > message.length) return undefined;
  return Buffer.from(message.subarray(start, end)).toString('latin1');
}

/** Offset behind the name at `offset`; behind the message's end where the name is broken. */
function skipName(message: Uint8Array, offset: number): number {
  let at = offset;
  for (;;) {
    const length = message[at];
    if (length === undefined) return message.length;
    if (length === 0) return at + 1;
    if (length >= 0xc0) return at + 2;
    at += length + 1;
  }
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
