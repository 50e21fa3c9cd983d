/** Attacks with datagrams. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { unreadBytes } from '../kernel.ts';
import type { Target } from './crowd.ts';
import { question, silentQuestion } from './questions.ts';

const HOST = '127.0.0.1';
const TICK_MS = 5;
/** Addresses of an attack from many clients. */
const ADDRESSES = 100;
/** Datagrams of a flood between two turns of the event loop of its process. */
const FLOOD_AT_ONCE = 64;

/**
 * Unread datagrams at which the attacker waits: the kernel would drop what a busy machine cannot read, from all clients
 * alike, and that is not the subject of these tests.
 */
const MAX_UNREAD_BYTES = 256 * 1_024;

type Attack = (target: Target) => Promise<unknown>;

async function boundTo(address: string): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.bind(0, address);
  await once(socket, 'listening');
  return socket;
}

/** Sends the datagrams of `make`, `perSecond`, from each of `sockets` in turn. */
async function send(
  { port }: Target,
  sockets: readonly Socket[],
  perSecond: number,
  make: () => Buffer,
): Promise<void> {
  const startMs = performance.now();
  let sent = 0;
  for (;;) {
    // A delayed sender makes up for at most a tenth of a second.
    const due = Math.floor(((performance.now() - startMs) * perSecond) / 1_000);
    sent = Math.max(sent, due - Math.ceil(perSecond / 10));
    if (unreadBytes(port) > MAX_UNREAD_BYTES) sent = due;
    for (; sent < due; sent++) sockets[sent % sockets.length]?.send(make(), port, HOST);
    await pause(TICK_MS);
  }
}

/** Unique names without an answer. */
function silentNames(perSecond: number): Attack {
  return async (target) => send(target, [await boundTo(target.address)], perSecond, silentQuestion);
}

/** The same from many clients with few queries each. */
const manyClients: Attack = async (target) => {
  const addresses = Array.from({ length: ADDRESSES }, (_, i) => `127.0.6.${i + 1}`);
  await send(target, await Promise.all(addresses.map(boundTo)), 4_000, silentQuestion);
};

/** As many questions as one process can send, more than the agent can read: for names without an answer, or cached. */
const floodOf =
  (make: () => Buffer): Attack =>
  async ({ port, address }) => {
    const socket = await boundTo(address);
    for (;;) {
      for (let left = FLOOD_AT_ONCE; left > 0; left--) socket.send(make(), port, HOST);
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
  };

const cachedQuestion = question('neighbour.test');

/** Datagrams that are no DNS queries. */
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
  silentFlood: floodOf(silentQuestion),
  cachedFlood: floodOf(() => cachedQuestion),
} satisfies Record<string, Attack>;
