/** What a client can do with datagrams. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { unreadBytes } from '../kernel.ts';
import type { Target } from './crowd.ts';
import { silentQuestion } from './questions.ts';

const HOST = '127.0.0.1';
const TICK_MS = 5;
/** Of an attack that takes many addresses: each is a client of its own. */
const ADDRESSES = 100;

/**
 * What the agent has not read yet when the attacker waits: what a busy machine has no time for the kernel drops, from all
 * clients alike, and that is not what is tried here.
 */
const MAX_UNREAD_BYTES = 256 * 1_024;

type Attack = (target: Target) => Promise<unknown>;

async function boundTo(address: string): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.bind(0, address);
  await once(socket, 'listening');
  return socket;
}

/** Sends what `make` makes, `perSecond`, from each of `sockets` in turn. */
async function send(
  { port }: Target,
  sockets: readonly Socket[],
  perSecond: number,
  make: () => Buffer,
): Promise<void> {
  const startMs = performance.now();
  let sent = 0;
  for (;;) {
    // A sender that was kept waiting does not make up for more than a tenth of a second.
    const due = Math.floor(((performance.now() - startMs) * perSecond) / 1_000);
    sent = Math.max(sent, due - Math.ceil(perSecond / 10));
    if (unreadBytes(port) > MAX_UNREAD_BYTES) sent = due;
    for (; sent < due; sent++) sockets[sent % sockets.length]?.send(make(), port, HOST);
    await pause(TICK_MS);
  }
}

/** Names that get no answer, none of them twice. */
function silentNames(perSecond: number): Attack {
  return async (target) => send(target, [await boundTo(target.address)], perSecond, silentQuestion);
}

/** The same by many clients, none of which asks much. */
const manyClients: Attack = async (target) => {
  const addresses = Array.from({ length: ADDRESSES }, (_, i) => `127.0.6.${i + 1}`);
  await send(target, await Promise.all(addresses.map(boundTo)), 4_000, silentQuestion);
};

/** Datagrams that are no questions. */
const garbage: Attack = async (target) => {
  let count = 0;
  const make = (): Buffer => {
    count++;
    const bytes = Buffer.alloc(count % 1_400, count % 251);
    silentQuestion().copy(bytes);
    if (bytes.length > 12) bytes.writeUInt32BE((count * 2_654_435_761) % 2 ** 32, 4);
    return bytes;
  };
  await send(target, [await boundTo(target.address)], 5_000, make);
};

export const UDP_ATTACKS = {
  silent1000: silentNames(1_000),
  silent4000: silentNames(4_000),
  ...{ manyClients, garbage },
} satisfies Record<string, Attack>;
